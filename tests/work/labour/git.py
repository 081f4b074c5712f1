"""git, in the workspace's own repository and in clones of others."""

from rows import work


def git(name, command, prints="", **more):
    return work("git", name, f"set -e; cd ~/project\n{command}", prints, fresh=True, **more)


GIT = [
    git("status", "git status --short; git log --oneline | wc -l", "9"),
    git(
        "commit",
        "echo more >> story.txt; git add -A; git commit -qm 'Say more'; git show --stat HEAD",
        "story.txt | 1 +",
    ),
    git(
        "commit_with_an_editor",
        "echo more >> story.txt\n"
        "GIT_EDITOR=\"sed -i '1i From an editor'\" git commit -qa; git log -1 --format=%s",
        "From an editor",
    ),
    git("amend", "git commit -q --amend -m Better; git log -1 --format=%s", "Better"),
    git(
        "branches",
        # Neither -m nor -d: both write to .git/config, which is not the agent's.
        "git checkout -qb next; git checkout -q main; git branch other topic; git switch -qc again\n"
        "git branch -f other next; git branch --contains start~1 | wc -l; git branch --show-current",
        "again",
    ),
    git(
        "merge",
        "git checkout -q topic; echo t > topic.txt; git add .; git commit -qm Topic\n"
        "git checkout -q main; git merge -q --no-ff --no-edit topic; git log --merges --oneline | wc -l",
        "1",
    ),
    git(
        "conflict",
        "git checkout -q topic; echo other >> story.txt; git commit -qam Other; git checkout -q main\n"
        "git merge -q topic > /dev/null || git checkout -q --ours story.txt\n"
        "git add story.txt; git commit -qm Solved; git status --short | wc -l",
        "0",
    ),
    git(
        "rebase",
        "git checkout -q topic; echo t > topic.txt; git add .; git commit -qm Topic\n"
        "git rebase -q main; git log --oneline | wc -l",
        "10",
    ),
    git(
        "rebase_interactively",
        "GIT_SEQUENCE_EDITOR=\"sed -i '2s/^pick/squash/'\" GIT_EDITOR=true git rebase -q -i HEAD~3\n"
        "git log --oneline | wc -l",
        "8",
    ),
    git(
        "cherry_pick_and_revert",
        "git checkout -q topic; git cherry-pick start~2 > /dev/null; git revert --no-edit HEAD > /dev/null\n"
        "git log --oneline | wc -l",
        "8",
    ),
    git(
        "stash",
        "echo more >> story.txt; echo new > new.txt; git stash -qu; test ! -e new.txt\n"
        "git stash list; git stash pop -q; cat new.txt",
        "new",
    ),
    git(
        "worktree",
        "git worktree add -q try/tree topic; cd try/tree; echo w > w; git add w; git commit -qm Tree\n"
        "cd ~/project; git worktree list | wc -l; git worktree remove try/tree; git log -1 --format=%s topic",
        "Tree",
    ),
    git(
        "bisect",
        "git bisect start HEAD HEAD~7 > /dev/null 2>&1; git bisect run sh -c '! test -e part5.c' > try/log\n"
        "grep -c 'is the first bad commit' try/log; git bisect reset 2> /dev/null; git branch --show-current",
        "main",
    ),
    git(
        "gc",
        "git gc -q --prune=now; git fsck --no-dangling; git count-objects -v | grep packs",
        "packs: 1",
    ),
    git("repack", "git repack -qad; git prune; git rev-parse HEAD"),
    git(
        "patches",
        "git format-patch -q -2 -o try/p; git checkout -q -b patched HEAD~2; git am -q try/p/*\n"
        "git diff start --stat | wc -l",
        "0",
    ),
    git(
        "diff_apply_and_restore",
        "echo more >> story.txt; git diff > try/d; git restore story.txt; git apply try/d; git diff --stat",
        "1 file changed",
    ),
    git(
        "blame_grep_and_log",
        "git blame story.txt | wc -l; git grep -c line; git log -S'line 4' --format=%s",
        "Chapter 4",
    ),
    git(
        "move_and_remove",
        "git mv part1.c first.c; git rm -q part2.c; git commit -qm Moved; git ls-files",
        "first.c",
    ),
    git("tag_and_describe", "git tag -a -m Note v1; git describe; git tag -d v1", "v1"),
    git(
        "reflog_and_reset",
        "git reset -q --hard HEAD~2; git reset -q --hard 'HEAD@{1}'; git log --oneline | wc -l",
        "9",
    ),
    git(
        "notes_and_refs", "git notes add -m Remember; git pack-refs --all; git for-each-ref | wc -l"
    ),
    git(
        "archive_and_bundle",
        "git archive -o try/a.tar HEAD; git bundle create -q try/b HEAD main; tar tf try/a.tar",
        "story.txt",
    ),
    git("clean", "mkdir -p junk/a; touch junk/a/b; git clean -qfd -e try; test ! -e junk"),
    # Without -u and without a tracking branch: both write to .git/config, which is not the agent's.
    git(
        "fetch_and_look_at_the_remote",
        "git ls-remote http://127.0.0.1:8000/shop.git > try/refs; git fetch -q http://127.0.0.1:8000/shop.git main\n"
        "git log -1 --format=%s FETCH_HEAD",
        "Add up a basket",
    ),
    work(
        "git",
        "clone_and_work_in_it",
        "set -e; git clone -q http://127.0.0.1:8000/shop.git s; cd s; git checkout -qb fix\n"
        "git config user.email a@example.com; git remote add other http://127.0.0.1:8000/shop.git\n"
        "git fetch -q other; git branch -q -u other/main; echo x > x; git add x; git commit -qm X\n"
        "git log --oneline | wc -l",
        "2",
    ),
    work(
        "git",
        "clone_a_clone_and_push",
        "set -e; git init -q --bare -b main o.git; git clone -q http://127.0.0.1:8000/shop.git s; cd s\n"
        "git push -q ../o.git main; git clone -q ../o.git ../t; git -C ../t pull -q\n"
        "git clone -q --depth 1 file://$PWD/../o.git ../u; git -C ../u log --oneline | wc -l",
        "1",
    ),
    work(
        "git",
        "submodule_in_a_clone",
        "set -e; git init -q s; cd s; git -c protocol.file.allow=always submodule --quiet add"
        " http://127.0.0.1:8000/shop.git lib; git commit -qm Lib; git submodule status",
        "lib",
    ),
    work(
        "git",
        "clone_in_tmp",
        "set -e; d=$(mktemp -d); git clone -q http://127.0.0.1:8000/shop.git $d/s; ls $d/s; rm -rf $d",
        "Makefile",
    ),
]
