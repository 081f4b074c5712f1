# Makes the workspace a repository with a history, as a person has one. Run free of Picket.
set -e
cd ~/project
printf 'try/\n.env\n' > .gitignore
git init -q -b main
git add -A
git commit -qm "What editors and agents read"
for number in 1 2 3 4 5 6 7 8; do
    printf '%s\n' "line $number" >> story.txt
    printf 'int part_%s(void) { return %s; }\n' "$number" "$number" > "part$number.c"
    git add -A
    git commit -qm "Chapter $number"
done
git tag start
git branch topic HEAD~3
git clone -q --bare . ~/upstream.git
git remote add origin ~/upstream.git
git fetch -q origin
