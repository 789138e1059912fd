//! Words that belong to SIP and say nothing of a person, by where they may stand. Everywhere else they are replaced as any other.

use sip::registered_phrase;

/// Which words are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Of the fields that say what somebody can do: methods, option tags, media types, events, languages.
    Abilities,
    /// Of reason phrases.
    Phrases,
    /// Of products.
    Products,
}

impl Words {
    /// Whether a word, in any case, is one of them.
    pub fn know(self, word: &[u8]) -> bool {
        let lists: &[&str] = match self {
            Self::Abilities => &[METHODS, ABILITIES],
            Self::Phrases => &[PHRASES],
            Self::Products => &[PRODUCTS],
        };
        lists.iter().any(|list| is_one_of(list, word)) || self == Self::Phrases && is_of_a_phrase(word)
    }
}

fn is_of_a_phrase(word: &[u8]) -> bool {
    (100..700).filter_map(registered_phrase).any(|phrase| {
        let mut words = phrase.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|known| !known.is_empty() && known.as_bytes().eq_ignore_ascii_case(word))
    })
}

/// Whether one of a list of words, parted by blanks, is this one in any case.
pub(crate) fn is_one_of(list: &str, word: &[u8]) -> bool {
    list.split_whitespace().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

const METHODS: &str = "INVITE ACK BYE CANCEL OPTIONS REGISTER SUBSCRIBE NOTIFY PUBLISH INFO PRACK UPDATE MESSAGE REFER";

const ABILITIES: &str = "100rel 199 answermode early session eventlist explicitsub from change geolocation http gin gruu \
    histinfo ice join multiple refer norefersub nosub outbound path policy precondition pref privacy recipient list invite \
    message subscribe record aware replaces resource priority sdp anat sec agree siprec tdialog timer trickle uui callerid \
    application audio video image text multipart mixed alternative related form data sdp sip sipfrag simple filter xml cpim \
    pidf xpidf dialog info json media control isup qsig dtmf relay broadsoft csta vq rtcpxr reginfo conference watcherinfo \
    pkcs7 mime signature plain html version charset utf iso boundary handling optional required render alert icon session \
    attachment identity gzip deflate compress presence winfo message summary reg check sync ua profile kpml keep alive talk \
    hold as feature event call aastra nat en de fr es it us gb header user id none critical history base active terminated \
    pending expires reason deactivated probation rejected timeout giveup noresource invariant uac uas refresher q 850 q850 \
    sip cause text release preemption";

const PHRASES: &str = "sip q q850 cause text active pending expires reason deactivated probation giveup noresource \
    answered elsewhere normal clearing call completed user alerting no answer from reachable destination \
    circuit channel unassigned number invalid format network out order temporary failure switching equipment congestion \
    interworking unspecified recovery on timer expiry facility rejected bearer capability not implemented available \
    subscriber absent unallocated route to released protocol error mandatory information element missing incomplete \
    resource unavailable quality service authorized outgoing barred incoming hangup cancel canceled cancelled is in \
    progress giving try trying terminated done originator by session expired timeout rtp media hunting picked up pickup \
    the of and for has been was with be at a an";

const PRODUCTS: &str = "3cx aastra acme packet alcatel asterisk audiocodes avaya bria broadsoft cisco counterpath csipsimple \
    digium drachtio ekiga eyebeam flexisip freepbx freeswitch freshtel fritz box fritzbox gigaset grandstream groundwire \
    jitsi jssip kamailio linksys linphone microsip mitel mizudroid mod sofia netsapiens obihai openser opensips oracle \
    panasonic patton pbx phonerlite pjsip pjsua pjsua2 polycom rtpengine ribbon sangoma sbc sonus server siemens sip sipp \
    sipgate sipml5 sips sipura sjphone snom sofia spa stack telephone tekelec teles twilio twinkle ua unify viber vos \
    x-lite xlite yate yealink zoiper voip phone softphone linux windows android ios mac release version git stable alpha \
    beta rc svn debian ubuntu x86 x86_64 amd64 arm";
