"""The rows, in the order in which they run. The name of each says what is so."""

import os
import signal
import stat

from host import GUARDED, POLICY, SOCKET, STAGE, expect

PINS = "/sys/fs/bpf/picket"
CONFIGURATION = "/etc/picket/picket.toml"


def readable(path):
    try:
        with open(path):
            return True
    except OSError:
        return False


def what_is_installed_is_found_where_it_is_looked_for(host):
    host.run("dpkg", "--install", host.first)
    for path in [
        "/usr/bin/picket",
        CONFIGURATION,
        "/usr/share/picket/policies/coding-agent.yaml",
        "/usr/share/bash-completion/completions/picket",
        "/lib/systemd/system/picket.service",
    ]:
        expect(os.path.isfile(path), f"{path} is not there")
    owned = host.run("dpkg", "--verify", "picket").splitlines()
    # The guest leaves documents and manual pages out of every package.
    broken = [line for line in owned if "/usr/share/doc/" not in line and "/usr/share/man/" not in line]
    expect(not broken, "\n".join(broken))


def the_unit_is_without_mistakes(host):
    # The guest has no manual pages; everything else that is said is about the unit.
    said = host.run("systemd-analyze", "--man=no", "verify", "picket.service")
    expect(not said.strip(), said)


def the_daemon_runs_and_comes_back_at_boot(host):
    expect(host.run("systemctl", "is-active", "picket").strip() == "active", "not active")
    expect(host.run("systemctl", "is-enabled", "picket").strip() == "enabled", "not enabled")
    expect(stat.S_ISSOCK(os.stat(SOCKET).st_mode), "no socket")


def the_canary_was_refused_everything(host):
    status = host.ask("GET", "/v1/status")
    free = [probe for probe in status["canary"]["probes"] if not probe["refused"]]
    expect(status["canary"]["probes"] and not free, f"not refused: {free}")
    expect(status["enforcing"], "not enforcing")
    expect(all(hook["armed"] or hook.get("on_demand") for hook in status["hooks"]), f"{status['hooks']}")


def every_shipped_policy_is_right(host):
    folder = "/usr/share/picket/policies"
    files = sorted(name for name in os.listdir(folder) if name.endswith(".yaml"))
    expect(len(files) > 10, f"only {files}")
    host.run("picket", "policy", "check", *(f"{folder}/{name}" for name in files))


def a_policy_in_the_directory_confines_an_agent(host):
    expect(readable(f"{STAGE}/forbidden"), "the control cannot read it either")
    with open(f"{POLICY}.new", "w") as file:
        file.write(GUARDED)
    os.rename(f"{POLICY}.new", POLICY)
    host.until("the policy is known", lambda: "guarded" in [p["name"] for p in host.ask("GET", "/v1/policies")])
    host.confine()
    host.still_confined()
    expect(readable(f"{STAGE}/forbidden"), "somebody else cannot read it")


def a_killed_daemon_comes_back_and_the_agent_never_gets_out(host):
    for _ in range(3):
        before = host.daemon()
        os.kill(before, signal.SIGKILL)
        host.still_confined()
        host.until("another daemon", lambda: host.daemon() not in (0, before))
        host.until("it is ready", lambda: host.run("systemctl", "show", "-P", "ActiveState", "picket").strip() == "active")
    adopted = [detail for what, detail in host.notices() if what == "daemon started"]
    expect(adopted[-3:] == ["programs in force adopted"] * 3, f"{adopted}")
    host.still_confined()


def a_stopped_daemon_leaves_the_fence(host):
    host.run("systemctl", "stop", "picket")
    host.still_confined()
    host.run("systemctl", "start", "picket")
    host.still_confined()


def an_upgrade_leaves_no_gap_and_keeps_what_was_configured(host):
    with open(CONFIGURATION, "a") as file:
        file.write("\n# the administrator's\n")
    before = host.ask("GET", "/v1/status")
    host.run("dpkg", "--install", host.following)
    after = host.ask("GET", "/v1/status")
    expect(after["version"] != before["version"], "the old daemon still answers")
    expect(after["generation"] > before["generation"], "the old programs are still in force")
    started = [detail for what, detail in host.notices() if what == "daemon started"]
    expect(started[-1] == f"programs of {before['version']} replaced", f"{started}")
    with open(CONFIGURATION) as file:
        expect("the administrator's" in file.read(), "the configuration was overwritten")
    host.still_confined()


def a_downgrade_leaves_no_gap_either(host):
    host.run("dpkg", "--install", host.first)
    status = host.ask("GET", "/v1/status")
    expect("+" not in status["version"], f"still {status['version']}")
    expect(status["enforcing"], "not enforcing")
    host.still_confined()


def a_removal_says_that_agents_are_released_and_releases_them(host):
    host.still_confined()
    said = host.run("dpkg", "--remove", "picket")
    expect("releases guarded" in said, f"it did not say so:\n{said}")
    expect(not os.path.exists(PINS), "there are pins left")
    host.until("the agent is free", lambda: host.counts()[0] > 0)
    host.end_agent()
    expect(os.path.isfile(CONFIGURATION), "the configuration is gone")
    expect(os.path.isdir("/var/log/picket"), "the log is gone")
    expect(not os.path.exists("/usr/bin/picket"), "the program is still there")


def a_purge_leaves_nothing(host):
    host.run("dpkg", "--purge", "picket")
    for path in ["/etc/picket", "/var/log/picket", "/run/picket", PINS, "/usr/share/picket"]:
        expect(not os.path.exists(path), f"{path} is still there")
    expect("picket" not in host.run("systemctl", "list-unit-files", "--no-legend"), "the unit is still there")


def it_can_be_installed_again(host):
    host.run("dpkg", "--install", host.first)
    expect(host.ask("GET", "/v1/status")["enforcing"], "not enforcing")


ROWS = [
    what_is_installed_is_found_where_it_is_looked_for,
    the_unit_is_without_mistakes,
    the_daemon_runs_and_comes_back_at_boot,
    the_canary_was_refused_everything,
    every_shipped_policy_is_right,
    a_policy_in_the_directory_confines_an_agent,
    a_killed_daemon_comes_back_and_the_agent_never_gets_out,
    a_stopped_daemon_leaves_the_fence,
    an_upgrade_leaves_no_gap_and_keeps_what_was_configured,
    a_downgrade_leaves_no_gap_either,
    a_removal_says_that_agents_are_released_and_releases_them,
    a_purge_leaves_nothing,
    it_can_be_installed_again,
]
