//! What is said of policies that are wrong, or right and not meant: the words, the place, the hint.

use sensor_user::policy::{Options, Source, compile};

use super::support::{FakeHost, compile_text, manifest, spec, variables, wrong, wrong_text};

fn warnings(lines: &str) -> Vec<String> {
    let compiled = spec(lines);
    let reports = compiled.warnings.reports();
    reports.into_iter().map(|r| format!("{}:{} {}", r.line, r.column, r.message)).collect()
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let found = wrong(
        "  mode: enforced\n  file: []\n  files:\n  - allow: [redd, connect]\n    paths: ['etc/**', '/a/[b', '${hom}/x', '/a/**b', '/x/../y']\n  - paths: ['/a']\n  network:\n  - allow: [connect]\n    to: ['10.0.0.1/8', 'localhost:80']\n    on: ['*']\n  domains: {}",
    );
    assert_eq!(
        found,
        [
            "6:9 unknown mode `enforced`",
            "7:3 `spec` has no key `file`",
            "9:13 unknown right `redd`",
            "9:19 `connect` is no right of this section",
            "10:14 a pattern begins with `/` or `**`",
            "10:27 `[` without a `]` after it",
            "10:33 the variable `hom` has no value",
            "10:48 `**` must stand alone between slashes",
            "10:58 `.` and `..` are never part of a canonical path",
            "11:5 the rule says none of `allow`, `audit`, `ask` and `deny`",
            "14:11 the address has bits beyond the 8 of its prefix",
            "14:25 `localhost` is a name, and the kernel knows only addresses",
            "15:9 `on` goes with `bind`, and the rule does not name it",
            "16:3 `domains` is not available yet in this version",
        ]
    );
}

#[test]
fn a_diagnostic_shows_the_line_a_marker_and_a_hint() {
    let text = manifest("  files:\n  - allow: [redd]\n    paths: ['/a']");
    let shown = compile_text(&text, &FakeHost::default()).unwrap_err().render(false);
    assert_eq!(
        shown,
        "error: unknown right `redd`\n \
         --> test.yaml:7:13\n  \
           |\n\
         7 |   - allow: [redd]\n  \
           |             ^^^^\n  \
           |\n  \
           = help: did you mean `read`?"
    );
}

#[test]
fn manifests_that_are_none() {
    let head = "apiVersion: picket.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: x}\n";
    let cases: &[(&str, &str)] = &[
        ("", "1:1 the policy is empty"),
        ("# nothing\n", "2:1 the policy is empty"),
        ("a: [", "1:5 not YAML: while parsing a node, did not find expected node content"),
        ("- a", "1:1 a policy must be a mapping, and is a list"),
        (&format!("{head}spec:\n"), "4:5 `spec` must be a mapping, and is nothing"),
        (
            &format!("{head}spec: {{}}\n---\n{head}"),
            "5:1 a policy file holds one document, and here a second begins",
        ),
        (&format!("{head}spec: {{}}\nspec: {{}}\n"), "5:1 `spec` is here twice"),
        (
            &format!("{head}spec: &x {{}}\n"),
            "4:7 YAML anchors and aliases are not part of the policy language",
        ),
        (&format!("{head}spec: !x {{}}\n"), "4:7 YAML tags mean nothing in a policy"),
        (
            &format!("{}spec: {{}}\n", head.replace("v1alpha1", "v2")),
            "1:13 `apiVersion` is `picket.dev/v2`, and this version knows `picket.dev/v1alpha1`",
        ),
        (
            &format!("{}spec: {{}}\n", head.replace("name: x", "name: X_y")),
            "3:18 `X_y` is no name for a policy",
        ),
    ];
    let found: Vec<_> = cases.iter().map(|(text, _)| wrong_text(text)).collect();
    let expected: Vec<_> = cases.iter().map(|(_, expected)| vec![(*expected).to_owned()]).collect();
    assert_eq!(found, expected);
}

#[test]
fn ask_is_refused_by_name_on_request() {
    let text = manifest("  files:\n  - ask: [read]\n    paths: ['/a']");
    let source = Source { name: "t.yaml".into(), text };
    let host = FakeHost::default();
    assert!(compile(&source, &variables(), &host, Options::default()).is_ok());
    let options = Options { refuse_ask: true, ..Options::default() };
    let diagnostics = compile(&source, &variables(), &host, options).unwrap_err();
    let report = &diagnostics.reports()[0];
    assert_eq!((report.line, report.column), (7, 5));
    assert!(report.message.starts_with("`ask` is not available yet"));
}

#[test]
fn rules_that_a_deny_covers_whole_are_pointed_out() {
    let found = warnings(
        "  files:\n  - allow: [read]\n    paths: ['/w/**', '/h/*/.ssh/config', '/w/x/.env', '/h/a.pem']\n  - allow: [read, write]\n    paths: ['/h/*/.ssh/**']\n  - deny: [read]\n    paths: ['**/.ssh/**', '**/.env', '**/*.pem']\n",
    );
    let expected = ["8:22 ", "8:42 ", "8:55 "];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, place) in found.iter().zip(expected) {
        assert!(found.starts_with(place) && found.contains("never have an effect"), "{found}");
    }
}

#[test]
fn programs_that_cannot_start_are_pointed_out() {
    let exec = "  exec:\n  - allow: ['/usr/bin/**']\n";
    let found = warnings(exec);
    assert_eq!(
        found,
        ["7:13 programs may run, and no library that they are linked with can be mapped"]
    );
    let read = format!("{exec}  files:\n  - allow: [read]\n    paths: ['/usr/**']");
    assert!(warnings(&read).is_empty());
    assert!(warnings("  exec:\n  - allow: ['/usr/**']\n").is_empty());
}

#[test]
fn a_rule_is_not_said_twice() {
    let found = wrong(
        "  files:\n  - allow: [read]\n    paths: ['/w', '/x', '/w']\n  - allow: [read, list]\n    paths: ['/w']\n  - deny: [read]\n    paths: ['/w']",
    );
    assert_eq!(found, ["8:25 `/w` is here twice with the same rights"]);
}

#[test]
fn a_policy_over_budget_names_the_rules_that_make_it_grow() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let paths: Vec<String> = names.iter().map(|n| format!("'/w/*{n}{n}x*{n}y*'")).collect();
    let found = wrong(&format!(
        "  files:\n  - allow: [read]\n    paths: ['/usr/**', {}]",
        paths.join(", ")
    ));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("8:24 the policy's table would have many times 4194304 bytes"),
        "{found:?}"
    );
}

#[test]
fn a_policy_with_more_patterns_than_a_table_can_name_is_refused() {
    let paths =
        |half: char| (0..33_000).map(|i| format!("    - /{half}/{i}\n")).collect::<String>();
    let rule = |half| format!("  files:\n  - allow: [read]\n    paths:\n{}", paths(half));
    // No file may be so large that it holds all of them.
    let host = FakeHost::default().file("a.yaml", &manifest(&rule('a')));
    let text = manifest(&format!("  include: [a.yaml]\n{}", rule('b')));
    let found = compile_text(&text, &host).unwrap_err();
    let found: Vec<String> = found.iter().map(|d| d.message.clone()).collect();
    let [message] = found.as_slice() else { panic!("{found:?}") };
    assert!(message.ends_with(" patterns, and a table takes 65535"), "{message}");
}
