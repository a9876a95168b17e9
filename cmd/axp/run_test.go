package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestExitCodes: what a verb returns decides the exit code, and only wrong use
// or unreadable input speaks, in one line.
func TestExitCodes(t *testing.T) {
	var result error
	defer func(old []func(*app) *cobra.Command) { verbs = old }(verbs)
	verbs = append(verbs[:len(verbs):len(verbs)], func(*app) *cobra.Command {
		return &cobra.Command{Use: "probe", RunE: func(*cobra.Command, []string) error { return result }}
	})
	for _, c := range []struct {
		err  error
		code int
		say  string
	}{
		{nil, 0, ""},
		{errFinding, 1, ""},
		{exitCode(137), 137, ""},
		{errors.New("f: line 3:\n  no such thing"), 2, "axp: probe: f: line 3: no such thing\n"},
	} {
		result = c.err
		var out, complaints strings.Builder
		if code := run([]string{"probe"}, strings.NewReader(""), &out, &complaints); code != c.code || complaints.String() != c.say {
			t.Errorf("%v: exit code %d, stderr %q; want %d, %q", c.err, code, complaints.String(), c.code, c.say)
		}
	}
}

func TestParsePID(t *testing.T) {
	for _, bad := range []string{"", "0", "-1", "4194304", "x", "1 ", "99999999999"} {
		if n, err := parsePID(bad); err == nil {
			t.Errorf("%q is taken as %d", bad, n)
		}
	}
	if n, err := parsePID("4194303"); n != 4194303 || err != nil {
		t.Errorf("4194303: %d, %v", n, err)
	}
}
