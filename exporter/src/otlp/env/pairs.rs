//! `name=value,name=value` with percent encoding, as `OTEL_RESOURCE_ATTRIBUTES` and `…_HEADERS` are written (W3C
//! Baggage without its properties).

/// Names and values in their order. `None` when anything in it cannot be read: half a list would be a riddle.
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=')?;
            let (name, value) = (decode(name.trim())?, decode(value.trim())?);
            (!name.is_empty()).then_some((name, value))
        })
        .collect()
}

/// `None` when a `%` stands without two hexadecimal digits, or the bytes are no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        // Two digits are below 256.
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_are_read_with_percent_encoding() {
        let read = parse(" Authorization=Basic%20YTpi== , x = y,,empty= ").expect("it is right");
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("Authorization", "Basic YTpi=="), ("x", "y"), ("empty", "")]);
        assert_eq!(parse("deployment.environment.name=%C3%A4%2C%3D").expect("it is right")[0].1, "ä,=");
    }

    #[test]
    fn half_a_list_is_none() {
        for text in ["a", "a=b,c", "=b", "a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
