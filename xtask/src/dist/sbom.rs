//! The bill of materials: every crate that ends up in the program, as CycloneDX 1.5 JSON, made from
//! what cargo resolved. Build tools and tests are not in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::vm::programs;

/// The bill of `package`, which is one of the workspace; `time` is in seconds since 1970.
pub fn of(package: &str, time: &str) -> Result<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(programs::workspace());
    cargo.args(["metadata", "--locked", "--format-version=1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.output().context("cannot start cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {}", complaint.trim());
    let bill = bill(&serde_json::from_slice(&output.stdout)?, package, time)?;
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

/// The bill, given what `cargo metadata` says.
fn bill(metadata: &Value, package: &str, time: &str) -> Result<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|p| (id(&p["id"]), p)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|n| (id(&n["id"]), n)).collect();
    let root = packages.iter().find(|(_, of)| of["name"] == package).map(|(id, _)| id.clone());
    let root = root.with_context(|| format!("there is no package {package}"))?;

    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(at) = open.pop() {
        if edges.contains_key(&at) {
            continue;
        }
        // A kind of null is an ordinary dependency; the others are for tests and build scripts.
        let ordinary =
            |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let needs: BTreeSet<String> = list(nodes.get(&at).map_or(&Value::Null, |n| &n["deps"]))
            .iter()
            .filter(ordinary)
            .map(|dep| id(&dep["pkg"]))
            .collect();
        open.extend(needs.iter().cloned());
        edges.insert(at, needs);
    }
    let component = |of: &str, kind: &str| {
        let package = packages.get(of).unwrap_or(&Value::Null);
        let reference = purl(package);
        json!({
            "type": kind, "bom-ref": reference, "purl": reference,
            "name": package["name"], "version": package["version"],
            "licenses": [{ "expression": package["license"].as_str().unwrap_or("NOASSERTION").replace('/', " OR ") }],
        })
    };
    let reference = |of: &String| packages.get(of).map(purl).unwrap_or_default();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": component(&root, "application"),
            "properties": [{ "name": "picket:source-date-epoch", "value": time }],
        },
        "components": edges.keys().filter(|of| **of != root).map(|of| component(of, "library")).collect::<Vec<_>>(),
        "dependencies": edges
            .iter()
            .map(|(of, needs)| json!({ "ref": reference(of), "dependsOn": needs.iter().map(reference).collect::<Vec<_>>() }))
            .collect::<Vec<_>>(),
    }))
}

/// A package URL (the purl specification): one name for a crate in every tool that looks for
/// vulnerable ones.
fn purl(package: &Value) -> String {
    let text = |field: &str| package[field].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_has_what_is_built_in_and_not_what_tests_take() {
        let metadata = json!({
            "packages": [
                { "id": "a", "name": "own", "version": "1.0.0", "license": "MIT" },
                { "id": "b", "name": "used", "version": "2.0.0", "license": "MIT/Apache-2.0" },
                { "id": "c", "name": "deep", "version": "3.0.0", "license": null },
                { "id": "d", "name": "tested", "version": "4.0.0", "license": "MIT" },
            ],
            "resolve": { "nodes": [
                { "id": "a", "deps": [
                    { "pkg": "b", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "d", "dep_kinds": [{ "kind": "dev" }] },
                ] },
                { "id": "b", "deps": [{ "pkg": "c", "dep_kinds": [{ "kind": null }, { "kind": "build" }] }] },
                { "id": "c", "deps": [] },
                { "id": "d", "deps": [] },
            ] },
        });
        let bill = bill(&metadata, "own", "0").unwrap();
        let names: Vec<_> =
            bill["components"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(names, ["used", "deep"]);
        assert_eq!(bill["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bill["metadata"]["component"]["purl"], "pkg:cargo/own@1.0.0");
        assert_eq!(bill["dependencies"][1]["dependsOn"], json!(["pkg:cargo/deep@3.0.0"]));
        assert!(super::bill(&metadata, "absent", "0").is_err());
    }
}
