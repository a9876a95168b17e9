package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The tool's tests are stories (testdata/script): the test binary plays axp, and
// what else a story needs.

// roles are the commands that the test binary plays in stories, by name.
var roles = map[string]func(){
	"axp": main,
}

// TestMain also lets the binary be axp for tests that aren't stories.
func TestMain(m *testing.M) {
	if os.Getenv("AXP_TEST_ROLE") == "axp" {
		main()
	}
	testscript.Main(m, roles)
}

func TestScripts(t *testing.T) {
	fixtures, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("no condition %q", name)
			}
			return os.Geteuid() == 0, nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", fixtures) // proc: a made-up /proc
			return nil
		},
	})
}
