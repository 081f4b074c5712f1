"""What is printed: lines as Rust's test programs have them, so that one reader counts both."""

import time


class Report:
    """The lines of a run."""

    def __init__(self, wanted):
        self.wanted, self.passed, self.failed, self.planned = wanted, 0, 0, 0
        self.started = time.monotonic()

    def chosen(self, plan, core):
        """The rows of a session that were asked for."""
        wanted = self.wanted or [""]
        return [row for row in plan.rows(core) if any(part in name(plan, row) for part in wanted)]

    def plan(self, count):
        self.planned = count
        print(f"running {count} tests", flush=True)

    def tell(self, plan, row, seconds, faults):
        """One row's outcome: good if there are no faults."""
        self.passed, self.failed = self.passed + (not faults), self.failed + bool(faults)
        verdict = "FAILED" if faults else "ok"
        print(f"test {name(plan, row)} ... {verdict} ({seconds:.1f} s)", flush=True)
        for fault in faults:
            print("    " + fault.strip().replace("\n", "\n    "), flush=True)

    def broken(self, plan, why):
        """A session that came to no end: whatever it did not get to has failed."""
        self.failed += 1
        print(f"test work::{plan.name} ... FAILED\n{why}", flush=True)

    def end(self):
        """The line that counts; the exit code."""
        missing = self.planned - self.passed - self.failed
        if missing > 0:
            print(f"{missing} tests were not run", flush=True)
        good = self.failed == 0 and missing <= 0 and self.passed > 0
        print(
            f"\ntest result: {'ok' if good else 'FAILED'}. {self.passed} passed; {self.failed} failed;"
            f" 0 ignored; finished in {time.monotonic() - self.started:.1f}s",
            flush=True,
        )
        return 0 if good else 1


def name(plan, row):
    return f"work::{plan.name}::{row.group}::{row.name}"
