# git's basic operations on a tree of $1 directories of fifty files, with everything that varies fixed, so that two runs print
# the same. A line that begins with ## names a step.
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_AUTHOR_DATE='2020-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
export GIT_EDITOR=true GIT_PAGER=cat

state() { git status --short | sort | head -n 20; git rev-parse HEAD 'HEAD^{tree}'; git ls-files -s | sha256sum; find . -path ./.git -prune -o -printf '%P %y %m %l\n' | sort | sha256sum; }

echo '## make'
git init -q -b main tree
cd tree
python3 - "$1" <<'X'
import os, sys
for directory in range(int(sys.argv[1])):
    path = f"d{directory % 10}/e{directory}"
    os.makedirs(path)
    for number in range(50):
        with open(f"{path}/f{number}.txt", "w") as file:
            file.write("".join(f"{directory} {number} {line}\n" for line in range(20)))
    os.symlink("f0.txt", f"{path}/link")
    os.chmod(f"{path}/f1.txt", 0o755)
X
git add .
git commit -qm All
state
echo '## edit'
find d0 d1 d4 d5 -name 'f1?.txt' | xargs sed -i 's/ 7$/ seven/'
git diff --shortstat
git commit -qam Seven
state
echo '## branch'
git checkout -qb topic HEAD~1
git mv d1 moved
git rm -rq d2
echo new > moved/new.txt
git add .
git commit -qm Move
state
echo '## merge'
git checkout -q main
git merge -q --no-edit topic
state
echo '## rebase'
git checkout -q topic
git rebase -q main~1 2>&1
state
echo '## stash'
find d3 -name 'f2*.txt' | xargs sed -i 's/^3/three/'
echo untracked > untracked
git stash -qu
state
git stash pop -q
state
git reset -q --hard
git clean -qfd
echo '## search'
git grep -c '7 19$' | sha256sum
git log --oneline --stat | sha256sum
git blame d4/e4/f10.txt | sha256sum
echo '## worktree and clone'
git worktree add -q ../second main
git -C ../second status --short
git worktree remove ../second
git clone -q . ../clone
git -C ../clone rev-parse HEAD
git clone -q --no-local --depth 1 "file://$PWD" ../shallow
git -C ../shallow ls-files | wc -l
echo '## pack'
git gc -q --prune=now
git fsck --no-dangling
git count-objects -v | grep -e ^count -e ^in-pack -e ^packs
git archive HEAD | tar x -C ../shallow
git -C ../shallow status --short
echo '## copy'
cp -a . ../copy
rsync -a --checksum . ../copy
tar cf - . | (mkdir ../tarred && cd ../tarred && tar xf -)
diff -r . ../copy && diff -r . ../tarred && echo same
rm -rf ../copy ../tarred ../clone ../shallow
ls ..
