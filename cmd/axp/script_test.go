package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The tool's tests are stories (testdata/script): the test binary plays axp, and
// what else a story needs.

// roles are the commands that the test binary plays in stories, by name.
var roles = map[string]func(){
	"axp": main,
}

func TestMain(m *testing.M) { testscript.Main(m, roles) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}
