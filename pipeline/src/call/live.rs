//! What may be asked of calls that are up, and what numbers look like in records.

/// What somebody wants to know of calls that are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveAsk {
    /// The calls that began last, at most so many of them, without their messages.
    Newest(usize),
    /// One call, all that is known of it, by its Call-ID as records show it.
    One(Box<str>),
}

/// A number somebody looks for, as records show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShownNumber {
    /// Not at all: no record has a number.
    Dropped,
    /// As it is: these are its last digits.
    Digits(Box<str>),
    /// Its beginning alone: this, or for a whole number this with `*` for what is hidden.
    Masked(Box<str>),
    /// As this hash.
    Hashed(Box<str>),
}

impl ShownNumber {
    /// Whether a number shown in a record is, or may be, the one that is looked for.
    pub fn matches(&self, shown: &str) -> bool {
        match self {
            Self::Dropped => false,
            Self::Digits(wanted) => {
                let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
                let user = shown.split(';').next().unwrap_or_default();
                let wanted = digits(wanted);
                !wanted.is_empty() && digits(user).ends_with(&wanted)
            }
            Self::Masked(wanted) => {
                let bare = |number| str::strip_prefix(number, '+').unwrap_or(number);
                let (wanted, shown) = (bare(wanted), bare(shown));
                if wanted.contains('*') { wanted == shown } else { shown.starts_with(wanted) }
            }
            Self::Hashed(wanted) => **wanted == *shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_in_the_form_records_show_it() {
        let digits = ShownNumber::Digits("01234".into());
        assert!(digits.matches("+49 30 1234".replace(' ', "0").as_str()) && digits.matches("01234;phone-context=x"));
        assert!(!digits.matches("1234") && !ShownNumber::Digits("".into()).matches("1234"));
        let masked = ShownNumber::Masked("+4930****".into());
        assert!(masked.matches("+4930****") && !masked.matches("+4930***"));
        assert!(ShownNumber::Masked("+49".into()).matches("+4930***"));
        assert!(ShownNumber::Masked("4930".into()).matches("+4930***") && masked.matches("4930****"));
        assert!(ShownNumber::Hashed("0a1b".into()).matches("0a1b") && !ShownNumber::Dropped.matches(""));
    }
}
