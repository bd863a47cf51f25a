package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

const recipeDir = "call/cli/testdata/recipes"

// The recipes of README.md, each run to the letter by the story that has it as recipe.sh.
//
//	recipe NAME   run recipe.sh in the background. LISTEN and DIAL are flags for this machine,
//	              put in front of the recipe's own; programs in bin stand for others' machines
//	stop NAME     end it as Ctrl-C would
//
// and those of TestScripts.
func TestRecipes(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: recipeDir,
		Setup: func(e *testscript.Env) error {
			e.Values[running{}] = map[string]*process{}
			e.Setenv("PULSE_SERVER", "unix:"+filepath.Join(e.WorkDir, "none"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "peer": peer, "await": await, "send": send, "ends": ends, "exits": exits, "say": say, "heard": heard,
			"recipe": recipe, "stop": stop,
		},
	})
}

func recipe(ts *testscript.TestScript, _ bool, args []string) {
	program, err := exec.LookPath("securecall")
	ts.Check(err)
	bin := ts.MkAbs("bin")
	ts.Check(os.MkdirAll(bin, 0o777))
	here := fmt.Sprintf(`#!/bin/sh
command=$1
shift
case $command in
listen) exec '%[1]s' listen %[2]s "$@" ;;
dial) exec '%[1]s' dial %[3]s "$@" ;;
esac
exec '%[1]s' "$command" "$@"
`, program, ts.Getenv("LISTEN"), ts.Getenv("DIAL"))
	ts.Check(os.WriteFile(filepath.Join(bin, "securecall"), []byte(here), 0o777))
	programs, err := os.ReadDir(bin)
	ts.Check(err)
	for _, p := range programs {
		ts.Check(os.Chmod(filepath.Join(bin, p.Name()), 0o777))
	}
	ts.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	// A session of its own, so that all of it can be ended.
	p := newProcess(ts, "setsid", args[0], []string{"sh", "recipe.sh"})
	ts.Defer(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	ts.Value(running{}).(map[string]*process)[args[0]] = p
}

func stop(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	ts.Check(syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM))
	<-p.done
	stdout, _ := p.stdout.text()
	stderr, _ := p.stderr.text()
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	conforms(ts, stdout+stderr)
}

// Every block of commands in README.md's section Recipes has its story, and every story
// stands there.
func TestRecipesAreThoseOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n## Recipes\n")
	if !found {
		t.Fatal("README.md has no section Recipes")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := codeBlocks(section)
	if len(blocks) < 6 {
		t.Errorf("README.md has only %d recipes", len(blocks))
	}
	stories, err := filepath.Glob(filepath.Join(recipeDir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, story := range stories {
		a, err := txtar.ParseFile(story)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "recipe.sh" })
		if i < 0 || !strings.Contains(string(a.Comment), "\nrecipe ") {
			t.Errorf("%s runs no recipe.sh", story)
			continue
		}
		told[string(a.Files[i].Data)] = story
	}
	for _, block := range blocks {
		if told[block] == "" {
			t.Errorf("no story in %s has this recipe of README.md:\n%s", recipeDir, block)
		}
		delete(told, block)
	}
	for story := range maps.Values(told) {
		t.Errorf("README.md does not have the recipe of %s", story)
	}
}

// codeBlocks are the indented blocks of a text, without their indentation.
func codeBlocks(text string) (blocks []string) {
	block := ""
	for line := range strings.Lines(text + "\n") {
		if code, indented := strings.CutPrefix(line, "    "); indented {
			block += code
			continue
		}
		if block != "" {
			blocks = append(blocks, block)
		}
		block = ""
	}
	return blocks
}
