package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// This file is about the command as a whole: its verbs, and what a verb's result
// means for the exit code.
//
// Invariants:
//   - exit 0: fine; 1: what was asked about does not hold (errFinding); 2: wrong
//     use or unreadable input, with one line on standard error, "axp: verb: …";
//     any other only by exitCode, for verbs that pass on their command's;
//   - standard output is buffered and written out before run returns.

// errFinding ends a verb with exit code 1: what it found is on standard output
// already.
var errFinding = errors.New("what was asked about does not hold")

// exitCode ends a verb with just this exit code, and nothing on standard error.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// verbs are the constructors, in the order of the help text. Each is in the file
// of its name.
var verbs = []func(*app) *cobra.Command{
	runCommand,
	treeCommand,
	whyCommand,
	whatifCommand,
	checkCommand,
	recordCommand,
	replayCommand,
	watchCommand,
	manCommand,
}

// app is what verbs are given.
type app struct {
	stdin  io.Reader
	out    output    // standard output, buffered
	stderr io.Writer // progress and complaints
}

// run is the whole command: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	buffered := bufio.NewWriterSize(stdout, 64<<10)
	a := &app{stdin: stdin, out: newOutput(stdout, buffered), stderr: stderr}
	root := rootCommand(a)
	root.SetArgs(args)
	verb, err := root.ExecuteC()
	if ferr := a.out.flush(); err == nil && ferr != nil {
		err = ferr
	}
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFinding):
		return 1
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(stderr, complaint(verb, err))
	return 2
}

// complaint is the one line that says what was wrong and where.
func complaint(verb *cobra.Command, err error) string {
	where := strings.ReplaceAll(verb.CommandPath(), " ", ": ")
	what, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n\n") // cobra's suggestions follow
	return where + ": " + strings.Join(strings.Fields(what), " ")
}

func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "axp",
		Short: "Processes on Linux: the tree, what a run leaves behind, and why",
		Long: `axp shows process life on Linux by the kernel's rules: sessions, process
groups, processes, threads and zombies.

Exit codes: 0 fine; 1 what was asked about does not hold; 2 wrong use or
unreadable input, with one line on standard error. Colours are used only on a
terminal, and not if NO_COLOR is set.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.out)
	root.SetErr(a.stderr)
	for _, verb := range verbs {
		root.AddCommand(verb(a))
	}
	return root
}
