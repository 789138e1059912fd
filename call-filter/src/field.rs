//! What can be asked of a call: the names of fields, and of what type each is.

/// A field, for who lists them.
#[derive(Clone, Copy, Debug)]
pub struct FieldHelp {
    /// How it is called.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// How it may be compared, with a value.
    pub example: &'static str,
    kind: Kind,
}

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text(Text),
    Number(Number),
    Span(Span),
    Address(Place),
    /// When the call began.
    Start,
    Flag(Flag),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    Outcome,
    End,
    Reason,
    Method,
    UserAgent,
    Carrier,
    UaType,
    Trunk,
    CallId,
    From,
    To,
    Transport,
    TraceId,
    Codec,
    Fault,
    Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Status,
    Cause,
    Messages,
    Retransmissions,
    Mos,
    Loss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Setup,
    Ring,
    Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Any,
    Source,
    Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    Failed,
    Poor,
    Live,
}

const fn field(name: &'static str, kind: Kind, example: &'static str, what: &'static str) -> FieldHelp {
    FieldHelp { name, what, example, kind }
}

/// All fields but `header:NAME`, which is any header field that is kept.
pub const FIELDS: &[FieldHelp] = &[
    field("outcome", Kind::Text(Text::Outcome), "== busy", "outcome of the last attempt, or in_progress"),
    field("end", Kind::Text(Text::End), "== bye", "how an answered call ended"),
    field("status", Kind::Number(Number::Status), ">= 500", "final status of the last attempt"),
    field("reason", Kind::Text(Text::Reason), "~ \".*timeout.*\"", "reason phrase of a final response"),
    field("cause", Kind::Number(Number::Cause), "== 16", "Q.850 cause of the hang-up"),
    field("method", Kind::Text(Text::Method), "== REFER", "method of a request of the call"),
    field("address", Kind::Address(Place::Any), "== 192.0.2.0/24", "address of anybody who sent or received"),
    field("source", Kind::Address(Place::Source), "== 192.0.2.1", "sender of the first INVITE"),
    field("destination", Kind::Address(Place::Destination), "== 192.0.2.1:5060", "recipient of the first INVITE"),
    field("transport", Kind::Text(Text::Transport), "== tcp", "transport of a request"),
    field("user_agent", Kind::Text(Text::UserAgent), "~ \"Yealink.*\"", "User-Agent of the first INVITE"),
    field("carrier", Kind::Text(Text::Carrier), "== carrier-a", "the label"),
    field("ua_type", Kind::Text(Text::UaType), "== yealink", "the label"),
    field("trunk", Kind::Text(Text::Trunk), "== carrier-a", "carrier that an INVITE came from or was sent to"),
    field("call_id", Kind::Text(Text::CallId), "~ \".*@192.*\"", "Call-ID, as it is shown"),
    field("trace_id", Kind::Text(Text::TraceId), "== 4bf92f3577b34da6a3ce929d0e0e4736", "32 hex digits"),
    field("from", Kind::Text(Text::From), "~ \"49.*\"", "user part of From, as it is shown"),
    field("to", Kind::Text(Text::To), "~ \".*1234\"", "user part of To, as it is shown"),
    field("start", Kind::Start, ">= 2026-01-31T12:00:00Z", "when the first INVITE was seen"),
    field("setup", Kind::Span(Span::Setup), "> 3s", "first INVITE to the first answer of any kind that tells"),
    field("ring", Kind::Span(Span::Ring), "> 30s", "how long it rang"),
    field("duration", Kind::Span(Span::Duration), "< 5s", "answer to hang-up"),
    field("messages", Kind::Number(Number::Messages), "> 100", "messages seen, repeats included"),
    field("retransmissions", Kind::Number(Number::Retransmissions), "> 0", "repeats among them"),
    field("mos", Kind::Number(Number::Mos), "< 3.5", "worst MOS-CQ of an interval"),
    field("loss", Kind::Number(Number::Loss), "> 1", "lost packets of a stream, in percent"),
    field("codec", Kind::Text(Text::Codec), "== PCMU", "codec of a stream"),
    field("fault", Kind::Text(Text::Fault), "== one_way", "fault of the media"),
    field("failed", Kind::Flag(Flag::Failed), "", "an error in a trace, or nobody heard it hang up"),
    field("poor", Kind::Flag(Flag::Poor), "", "its media have a fault, or an interval sounded poor"),
    field("live", Kind::Flag(Flag::Live), "", "it is up, or being set up"),
];

/// For an error: which fields there are.
pub(crate) fn known() -> String {
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    format!("there are {} and header:NAME", names.join(", "))
}

/// A field that was asked for.
#[derive(Clone, Debug)]
pub struct Field {
    /// Of what type it is.
    pub(crate) kind: Kind,
    name: String,
    example: &'static str,
    /// Of `header:NAME` the name.
    pub(crate) header: String,
}

impl Field {
    /// How it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the name of a field.
    ///
    /// # Errors
    /// Says which there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| format!("there is no field {name:?}: {}", known()))
    }

    /// The field of a name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if let Some((prefix, header)) = name.split_once(':') {
            let is_header = prefix.eq_ignore_ascii_case("header") && !header.is_empty();
            let kind = Kind::Text(Text::Header);
            return is_header.then(|| Self {
                kind,
                name: name.to_owned(),
                example: "~ \".*\"",
                header: header.to_owned(),
            });
        }
        let found = FIELDS.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(Self { kind: found.kind, name: found.name.to_owned(), example: found.example, header: String::new() })
    }

    /// Whether it is one of header fields, which not every record has.
    pub fn is_about_headers(&self) -> bool {
        self.kind == Kind::Text(Text::Header)
    }

    /// Whether it is one of those that tell who called whom under which Call-ID.
    pub fn is_about_parties(&self) -> bool {
        matches!(self.kind, Kind::Text(Text::CallId | Text::From | Text::To))
    }

    /// Whether it is what callers heard.
    pub fn is_about_media(&self) -> bool {
        matches!(
            self.kind,
            Kind::Text(Text::Codec | Text::Fault) | Kind::Number(Number::Mos | Number::Loss) | Kind::Flag(Flag::Poor)
        )
    }

    /// How it may be compared.
    pub(crate) fn example(&self) -> &'static str {
        if matches!(self.kind, Kind::Flag(_)) { "alone" } else { self.example }
    }
}
