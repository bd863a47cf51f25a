package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What --help says is in the manual page and in the completions.

// run runs securecall and returns its stdout.
func run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("securecall", args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("securecall %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// helped is what --help says: the flags of each command, as they are typed.
func helped(t *testing.T) map[string][]string {
	t.Helper()
	_, list, _ := strings.Cut(run(t, "help"), "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	all := map[string][]string{}
	flags := regexp.MustCompile(`(?m)^  (-[\w-]+(?:, -[\w-]+)*)`)
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		for _, m := range flags.FindAllStringSubmatch(run(t, "help", name), -1) {
			all[name] = append(all[name], strings.Split(m[1], ", ")...)
		}
	}
	if len(all) < 12 || len(all["dial"]) < 30 {
		t.Fatalf("the help has %d commands and %d flags of dial", len(all), len(all["dial"]))
	}
	return all
}

func TestManPageHasWhatHelpHas(t *testing.T) {
	page := run(t, "man")
	for name, flags := range helped(t) {
		_, part, found := strings.Cut(page, `.SS "securecall `+name+"\"\n")
		if !found {
			t.Errorf("the manual page has no command %s", name)
		}
		part, _, _ = strings.Cut(part, "\n.S") // up to the next section
		for _, f := range flags {
			if !strings.Contains(part, `\fB`+strings.ReplaceAll(f, "-", `\-`)+`\fR`) &&
				!strings.Contains(part, `\fB`+strings.ReplaceAll(f, "-", `\-`)+`,\fR`) {
				t.Errorf("%s has no %s in the manual page", name, f)
			}
		}
	}
	_, statuses, _ := strings.Cut(run(t, "help"), "how a call ended:")
	for _, status := range regexp.MustCompile(`  (\d+) `).FindAllStringSubmatch(statuses, -1) {
		if !strings.Contains(page, "\n\\fB"+status[1]+"\\fR\n") {
			t.Errorf("the manual page has no status %s", status[1])
		}
	}
}

// man has no doubts about the manual page, and shows what a person looks for.
func TestManPageReads(t *testing.T) {
	groff := tool(t, "groff")
	cmd := exec.Command(groff, "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=78n")
	cmd.Stdin = strings.NewReader(run(t, "man"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("groff: %v\n%s", err, stderr.String())
	}
	for _, want := range []string{
		"securecall - encrypted calls from a terminal",
		"--mic SRC", "--help, -h", "$XDG_STATE_HOME/securecall",
		`securecall dial --mic "exec:arecord -q -f S16_LE -r 8000 -c 1 -t raw" --speaker none bob.example`,
		"securecall listen [flags]", "EXIT STATUS", "SEE ALSO",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in the manual page:\n%s", want, out)
		}
	}
}

// tool is a program that CI has, and others may not.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("there is no %s: make deps", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// drivers ask the completion of each shell, in $1, about the lines on stdin, and print the
// line and a candidate, with a tab between. In zsh the completion system is played: it needs
// a terminal, which TestTab has.
var drivers = map[string]string{
	"bash": `
source "$1"
compopt() { [[ $2 == nospace ]] || printf '%s\t<%s>\n' "$line" "$2"; }
while IFS= read -r line; do
	COMP_LINE=$line COMP_POINT=${#line}
	read -ra COMP_WORDS <<<"$line"
	[[ $line != *' ' ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_securecall securecall "${COMP_WORDS[COMP_CWORD]}"
	for word in "${COMPREPLY[@]}"; do printf '%s\t%s\n' "$line" "$word"; done
done
true`,
	"zsh": `
setopt extendedglob rcexpandparam nullglob
compdef() { }
compset() {
	if [[ $3 == '*=' ]]; then IPREFIX=${PREFIX%%=*}= PREFIX=${PREFIX#*=}
	else IPREFIX+=${PREFIX%${PREFIX##*,}} PREFIX=${PREFIX##*,}; fi
}
_describe() { local c; for c in "${(@P)4}"; do offer "${c%%:*}"; done }
compadd() { local c; for c in "${asked[@]}"; do offer "$c"; done }
_files() { [[ $1 == -/ ]] && print -r -- "$line"$'\t<dirnames>' || print -r -- "$line"$'\t<default>' }
offer() { [[ $1 != "$PREFIX"* ]] || print -r -- "$line"$'\t'"$IPREFIX$1" }
source "$1"
while IFS= read -r line; do
	words=(${(z)line}) IPREFIX=
	[[ $line != *' ' ]] || words+=('')
	CURRENT=$#words PREFIX=$words[-1]
	_securecall
done
true`,
	"fish": `
source $argv[1]
function __fish_complete_path; echo "$argv[1]<default>"; end
function __fish_complete_directories; echo "$argv[1]<dirnames>"; end
while read -l line
	for word in (complete -C "$line")
		printf '%s\t%s\n' $line $word
	end
end
true`,
}

// asks are the candidates that a shell has for each line.
func asks(t *testing.T, shell string, lines []string) map[string][]string {
	t.Helper()
	path := tool(t, shell)
	dir := t.TempDir()
	script, driver := filepath.Join(dir, "securecall"), filepath.Join(dir, "driver")
	for name, text := range map[string]string{script: run(t, "completion", shell), driver: drivers[shell]} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "state")
	contacts := "c0ffee00c0ffee00c0ffee00\tbob\tbob.example\nc0ffee00c0ffee00c0ffee01\tBob Smith\tbob.example\nc0ffee00c0ffee00c0ffee02\t--verify-via=sh\tbob.example\n"
	if err := os.WriteFile(filepath.Join(dir, "contacts"), []byte(contacts), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "contacts", "import", filepath.Join(dir, "contacts"), "--state", filepath.Join(state, "securecall"))
	cmd := exec.Command(path, driver, script)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "XDG_STATE_HOME="+state, "HOME="+dir, "XDG_CONFIG_HOME="+dir, "PULSE_SERVER=unix:"+filepath.Join(dir, "none"))
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s", shell, err, stderr.String())
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if i := strings.IndexByte(f[1], '<'); i >= 0 {
			f[1] = f[1][i:] // what the shell itself completes
		} else if !strings.HasPrefix(f[1], f[0][strings.LastIndexByte(f[0], ' ')+1:]) {
			continue // fish offers words that have the letters somewhere, too
		}
		all[f[0]] = append(all[f[0]], f[1])
	}
	return all
}

func TestCompletionHasWhatHelpHas(t *testing.T) {
	all := helped(t)
	want := map[string][]string{}
	for name, flags := range all {
		want["securecall "] = append(want["securecall "], name)
		want["securecall "+name+" -"] = flags
	}
	for shell := range drivers {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for line := range want {
				lines = append(lines, line)
			}
			got := asks(t, shell, lines)
			for _, line := range lines {
				if !sameWords(got[line], want[line]) {
					t.Errorf("%q:\n got %q\nwant %q", line, got[line], want[line])
				}
			}
		})
	}
}

func sameWords(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestCompletion(t *testing.T) {
	want := map[string]string{
		"securecall d":                                   "dial demo devices doctor",
		"securecall -":                                   "--help -h",
		"securecall completion ":                         "bash zsh fish",
		"securecall help di":                             "dial",
		"securecall contacts ":                           "list show rename verify forget export import",
		"securecall contacts show b":                     "bob",
		"securecall contacts rename bob ":                "",
		"securecall contacts verify --remove b":          "bob",
		"securecall contacts list ":                      "",
		"securecall contacts import ":                    "<default>",
		"securecall dial b":                              "bob",
		"securecall dial --bind :0 b":                    "bob",
		"securecall dial --bind=:0 --json b":             "bob",
		"securecall dial --via b":                        "",
		"securecall dial bob ":                           "",
		"securecall dial --require v":                    "verified",
		"securecall dial x --require c":                  "continuity code",
		"securecall dial --require=v":                    "--require=verified",
		"securecall dial --cipher AES3,":                 "AES3,AES1",
		"securecall dial --sas=B256,B3":                  "--sas=B256,B32",
		"securecall dial --echo-cancel o":                "on off",
		"securecall listen --accept ":                    "ask known all",
		"securecall listen --packet-time 1":              "10ms",
		"securecall listen --mic no":                     "none <default>",
		"securecall listen --state ":                     "<dirnames>",
		"securecall listen --secret-file ":               "<default>",
		"securecall listen --duration ":                  "",
		"securecall rendezvous --tls-cert ":              "<default>",
		"securecall rendezvous --tls-cert x --tls-key y": "<default>",
		"securecall nothing ":                            "",
		"securecall nothing -":                           "",
		"securecall dial $(touch pwned) ":                "",
		"securecall $(touch pwned) -":                    "",
	}
	for shell := range drivers {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for line := range want {
				lines = append(lines, line)
			}
			got := asks(t, shell, lines)
			for _, line := range lines {
				if !sameWords(got[line], strings.Fields(want[line])) {
					t.Errorf("%q:\n got %q\nwant %q", line, got[line], want[line])
				}
			}
			if _, err := os.Stat("pwned"); err == nil {
				t.Error("what was typed was run")
			}
		})
	}
}

// What is nearly right is recognized, in every command (and every flag: TestMistypedFlags).
func TestMistypedIsRecognized(t *testing.T) {
	for name, flags := range helped(t) {
		mistyped(t, name)
		mistyped(t, flags[0], name)
	}
	for _, verb := range []string{"list", "rename", "export"} {
		mistyped(t, verb, "contacts")
	}
	for _, verb := range []string{"verify", "hangup", "sas"} {
		mistyped(t, verb, "ctl")
	}
	mistyped(t, "zsh", "completion")
}

// mistyped types name with its last letter twice, after before.
func mistyped(t *testing.T, name string, before ...string) {
	t.Helper()
	line := append(before, name+name[len(name)-1:])
	cmd := exec.Command("securecall", line...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "did you mean "+name+"?") {
		t.Errorf("securecall %s: %v\n%s", strings.Join(line, " "), cmd.ProcessState, out)
	}
}
