use super::*;

/// What the check says about a table in TOML, one problem a line, and whether it can be used.
fn check(table: &str) -> (String, bool) {
    let config: Config = toml::from_str(table).expect("a configuration");
    let mut problems = Problems::default();
    let usable = config.check(&mut problems).is_some();
    assert_eq!(usable, !problems.has_errors());
    (problems.to_string(), usable)
}

fn carriers(list: &str) -> (String, bool) {
    check(&format!("carriers = [{list}]"))
}

#[track_caller]
fn assert_refused((problems, usable): (String, bool), expected: &[&str]) {
    assert!(!usable, "{problems}");
    assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_example_of_the_manual_is_fine() {
    let example = r#"
        carriers = [{ name = "telecom-alpha", cidrs = ["10.1.0.0/16", "10.2.0.0/16", "2001:db8:a::/48"] }]
        user_agents = [{ regex = '(?i)^Yealink', label = "yealink" }, { regex = '(?i)^Grandstream', label = "grandstream" }]
    "#;
    assert_eq!(check(example), (String::new(), true));
    assert_eq!(check(""), (String::new(), true));
}

#[test]
fn a_network_that_is_none_is_an_error_with_its_cure() {
    assert_refused(
        carriers(r#"{ name = "a", cidrs = ["10.0.0.0/8", "10.0.0.0/33", "10.1.2.3", "10.1.2.3/16", "x"] }"#),
        &[
            r#"carriers[0].cidrs[1]: "10.0.0.0/33" is no network; write address/length, such as "10.1.0.0/16" or "2001:db8::/32""#,
            r#"carriers[0].cidrs[2]: "10.1.2.3" is no network; write "10.1.2.3/32" for this one address"#,
            r#"carriers[0].cidrs[3]: "10.1.2.3/16" has bits set behind its prefix; write "10.1.0.0/16" for the network or "10.1.2.3/32" for the one address"#,
            r#"carriers[0].cidrs[4]: "x" is no network; write address/length, such as "10.1.0.0/16" or "2001:db8::/32""#,
        ],
    );
}

#[test]
fn a_network_within_another_carriers_is_a_warning() {
    let (problems, usable) = carriers(
        r#"{ name = "a", cidrs = ["10.0.0.0/8", "10.9.0.0/16"] }, { name = "b", cidrs = ["10.1.0.0/16", "2001:db8::/32"] }"#,
    );
    assert!(usable);
    assert_eq!(
        problems,
        "warning: carriers[1].cidrs[0]: 10.1.0.0/16 of carrier \"b\" lies within 10.0.0.0/8 of carrier \"a\" (carriers[0].cidrs[0]); \
         its addresses count for \"b\"; take it out if that is not meant\n"
    );
}

#[test]
fn the_same_network_under_two_carriers_is_an_error() {
    assert_refused(
        carriers(r#"{ name = "a", cidrs = ["10.0.0.0/8"] }, { name = "b", cidrs = ["::ffff:10.0.0.0/104"] }"#),
        &[
            r#"carriers[1].cidrs[0]: 10.0.0.0/8 belongs to carrier "a" already (carriers[0].cidrs[0]); take it out of one of the two: no longer prefix decides between them"#,
        ],
    );
}

#[test]
fn the_same_network_twice_under_one_carrier_is_a_warning() {
    let (problems, usable) = carriers(r#"{ name = "a", cidrs = ["10.0.0.0/8", "10.0.0.0/8"] }"#);
    assert!(usable);
    assert_eq!(problems, "warning: carriers[0].cidrs[1]: 10.0.0.0/8 is listed twice for carrier \"a\"; take one out\n");
}

#[test]
fn a_carrier_without_networks_is_a_warning() {
    let (problems, usable) = carriers(r#"{ name = "a", cidrs = [] }"#);
    assert!(usable && problems.starts_with("warning: carriers[0].cidrs: "), "{problems}");
}

#[test]
fn a_duplicate_or_empty_label_is_an_error() {
    assert_refused(
        check(
            r#"
            carriers = [{ name = "a", cidrs = ["10.0.0.0/8"] }, { name = " ", cidrs = ["11.0.0.0/8"] }, { name = "a", cidrs = ["12.0.0.0/8"] }]
            user_agents = [{ regex = "x", label = "" }, { regex = "y", label = "p" }, { regex = "z", label = "p" }]
            "#,
        ),
        &[
            r#"carriers[1].name: the label is empty; name it; what matches nothing is "other" already"#,
            r#"carriers[2].name: "a" is used by carriers[0] already; put its networks under the first one"#,
            r#"user_agents[0].label: the label is empty; name it; what matches nothing is "other" already"#,
            r#"user_agents[2].label: "p" is used by user_agents[1] already; join the two expressions with `|`, or give each a label of its own"#,
        ],
    );
}

#[test]
fn an_expression_that_is_invalid_or_empty_is_an_error() {
    assert_refused(
        check(
            r#"user_agents = [{ regex = "(a", label = "a" }, { regex = "b", label = "b" }, { regex = "", label = "c" }, { regex = "*", label = "d" }]"#,
        ),
        &[
            r#"user_agents[0].regex: "(a" is no expression to search for: unclosed group; put a backslash before characters meant as such, and '...' around the expression"#,
            r#"user_agents[2].regex: an empty expression matches every User-Agent; write '.*' if that is meant"#,
            r#"user_agents[3].regex: "*" is no expression to search for: repetition operator missing expression; put a backslash before characters meant as such, and '...' around the expression"#,
        ],
    );
}

#[test]
fn more_than_256_labels_are_an_error() {
    let list = |count: usize| {
        let carriers: Vec<_> = (0..count)
            .map(|n| format!("{{ name = \"c{n}\", cidrs = [\"10.{}.{}.0/24\"] }}", n / 256, n % 256))
            .collect();
        let agents: Vec<_> = (0..count).map(|n| format!("{{ regex = \"a{n}\", label = \"u{n}\" }}")).collect();
        format!("carriers = [{}]\nuser_agents = [{}]", carriers.join(", "), agents.join(", "))
    };
    assert_eq!(check(&list(MAX_LABELS)), (String::new(), true));
    assert_refused(
        check(&list(MAX_LABELS + 1)),
        &[
            "carriers[256]: 257 labels are more than 256; join some, so that the metrics stay countable",
            "user_agents[256]: 257 labels are more than 256; join some, so that the metrics stay countable",
        ],
    );
}

#[test]
fn what_is_written_is_what_is_printed() {
    let config = Config {
        carriers: vec![Carrier { name: "a".to_owned(), cidrs: vec!["10.0.0.0/8".to_owned()] }],
        user_agents: vec![UserAgent { regex: "x".to_owned(), label: "y".to_owned() }],
    };
    let text = toml::to_string(&config).expect("TOML");
    assert_eq!(toml::from_str::<Config>(&text).expect("a configuration"), config);
}
