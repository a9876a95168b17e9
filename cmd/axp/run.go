package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"axprocess"
	"axprocess/host/supervise"
	"axprocess/report"
)

// This file is about axp run: what it is asked for, and how it ends. runsignals.go
// is about signals and the terminal, runreport.go about what it says.
//
// Invariants:
//   - the exit code is the command's, whatever happens to reports; 2 only if the
//     command was never started;
//   - standard input and output are the command's alone.

// runOptions are the flags of axp run.
type runOptions struct {
	follow, leaks, forward  string
	keep                    []string
	grace, timeout          time.Duration
	report, timeline, trace string
	failOnLeak, verbose     bool
	noArgs, dieWithAxp      bool
}

func runCommand(a *app) *cobra.Command {
	o := &runOptions{}
	c := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG…]",
		Short: "Run a command and keep hold of all that it starts",
		Long: `axp run starts CMD and follows every descendant, however it detaches. When CMD
has ended, what it left behind is ended too, and said on standard error.

The exit code is CMD's; if a signal killed CMD, axp dies of the same one. 127:
there is no such command; 126: it can't be executed; 124: --timeout ended it;
2: it was never started by our fault.`,
		Example: `  axp run -- make -j2
  axp run --leaks=report --report run.json -- ./build.sh
  axp run --keep 'postgres' --fail-on-leak -- ./test.sh`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.run(o, args) },
	}
	f := c.Flags()
	f.SetInterspersed(false)
	f.StringVar(&o.follow, "follow", "auto", "how to follow: auto, ptrace, ebpf or proc")
	f.StringVar(&o.leaks, "leaks", "kill", "what to do with what is left: kill, report or wait")
	f.DurationVar(&o.grace, "grace", 5*time.Second, "time between SIGTERM and SIGKILL")
	f.StringArrayVar(&o.keep, "keep", nil, "regular expression of commands that may stay, with their descendants")
	f.BoolVar(&o.failOnLeak, "fail-on-leak", false, "exit with 1 if something was left and CMD's exit code is 0")
	f.StringVar(&o.report, "report", "", "write the report as JSON to this file")
	f.StringVar(&o.timeline, "timeline", "", "write a page with each process's life to this HTML file")
	f.StringVar(&o.trace, "trace", "", "write a trace for Perfetto to this JSON file")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say all that ran, not only what is wrong")
	f.DurationVar(&o.timeout, "timeout", 0, "end CMD and all below it after this time")
	f.StringVar(&o.forward, "forward", "cmd", "who gets the signals sent to axp: cmd or all")
	f.BoolVar(&o.noArgs, "no-args", false, "leave arguments out of reports")
	f.BoolVar(&o.dieWithAxp, "die-with-axp", false, "CMD is killed when axp is")
	return c
}

// run is one run.
func (a *app) run(o *runOptions, args []string) error {
	cmd, err := o.command(args)
	if err != nil {
		return err
	}
	files, err := o.open()
	if err != nil {
		return err
	}
	say := &sayings{w: a.stderr, style: a.errStyle()}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Warn = func(text string) { say.line(report.Notice, "%s", text) }
	cmd.OnWait = func(held []supervise.Process) { say.waiting(held) }
	tty := findTerminal()
	keys := newSignals(cmd, tty, o.forward == "all", cmd.Leaks == supervise.Await)
	defer keys.stop()
	if err := cmd.Start(); err != nil {
		files.discard()
		return notStarted(say, args[0], err)
	}
	keys.begin()
	if o.timeout > 0 {
		timer := time.AfterFunc(o.timeout, cmd.Stop)
		defer timer.Stop()
	}
	rep, err := cmd.Wait()
	tty.restore()
	timedOut := rep.Partial && !keys.interrupted()
	rep.Partial = rep.Partial || keys.interrupted()
	if err != nil {
		say.line(report.Bad, "the run could not be followed exactly: %v", err)
	}
	say.report(rep, o.verbose)
	files.write(say, rep)
	return ended(rep, o.failOnLeak, timedOut)
}

// command makes the command from the flags.
func (o *runOptions) command(args []string) (*supervise.Cmd, error) {
	if args[0] == "" {
		return nil, errors.New("the command's name is empty")
	}
	cmd := supervise.Command(args[0], args[1:]...)
	var err error
	if cmd.Follow, err = supervise.ParseFollow(o.follow); err != nil {
		return nil, err
	}
	switch o.leaks {
	case "kill":
		cmd.Leaks = supervise.End
	case "report":
		cmd.Leaks = supervise.Leave
	case "wait":
		cmd.Leaks = supervise.Await
	default:
		return nil, fmt.Errorf("--leaks: %q is not kill, report or wait", o.leaks)
	}
	if o.forward != "cmd" && o.forward != "all" {
		return nil, fmt.Errorf("--forward: %q is not cmd or all", o.forward)
	}
	if o.grace < 0 || o.timeout < 0 {
		return nil, errors.New("--grace and --timeout can't be negative")
	}
	for _, pattern := range o.keep {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("--keep: %w", err)
		}
		cmd.Keep = append(cmd.Keep, re)
	}
	cmd.Grace, cmd.NoArgs, cmd.DieAlong, cmd.Alone = o.grace, o.noArgs, o.dieWithAxp, true
	return cmd, nil
}

// notStarted says why the command could not be started: by its own fault 127 or
// 126, as shells have it, else it is ours.
func notStarted(say *sayings, name string, err error) error {
	code := 126
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, syscall.ENOENT):
		code = 127
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.EISDIR),
		errors.Is(err, exec.ErrDot), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP),
		errors.Is(err, syscall.ETXTBSY), errors.Is(err, syscall.E2BIG):
	default:
		return err
	}
	reason := err
	for inner := errors.Unwrap(reason); inner != nil; inner = errors.Unwrap(inner) {
		reason = inner
	}
	say.line(report.Bad, "%s: %v", say.style.Clean(name), reason)
	return exitCode(code)
}

// ended turns the command's end into axp's.
func ended(rep *supervise.Report, failOnLeak, timedOut bool) error {
	switch {
	case timedOut:
		return exitCode(124)
	case rep.Cause == axprocess.Killed, rep.Cause == axprocess.Dumped:
		dieOf(syscall.Signal(rep.Code))
		return exitCode(128 + rep.Code) // an init can't die of a signal
	case rep.Code == 0 && failOnLeak && len(rep.Leaks()) > 0:
		return exitCode(1)
	case rep.Code == 0:
		return nil
	}
	return exitCode(rep.Code)
}

// outputs are the files that a run writes, opened before it begins.
type outputs []*outputFile

type outputFile struct {
	*os.File
	what  string
	fresh bool // was not there before
	print func(io.Writer, *supervise.Report) error
}

func (o *runOptions) open() (outputs, error) {
	var files outputs
	for _, one := range []outputFile{
		{what: o.report, print: func(w io.Writer, r *supervise.Report) error { return r.WriteJSON(w) }},
		{what: o.timeline, print: func(w io.Writer, r *supervise.Report) error { return report.Timeline(w, life(r)) }},
		{what: o.trace, print: func(w io.Writer, r *supervise.Report) error { return report.ChromeTrace(w, life(r)) }},
	} {
		if one.what == "" {
			continue
		}
		_, err := os.Lstat(one.what)
		one.fresh = errors.Is(err, os.ErrNotExist)
		if one.File, err = os.OpenFile(one.what, os.O_WRONLY|os.O_CREATE, 0o666); err != nil {
			files.discard()
			return nil, err
		}
		files = append(files, &one)
	}
	return files, nil
}

// discard leaves no trace of the files.
func (files outputs) discard() {
	for _, f := range files {
		_ = f.Close()
		if f.fresh {
			_ = os.Remove(f.what)
		}
	}
}

// write writes the files. What fails is said; the command's exit code stands.
func (files outputs) write(say *sayings, rep *supervise.Report) {
	for _, f := range files {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			_ = f.Truncate(0) // an error comes up again when it is written
		}
		err := f.print(f, rep)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			say.line(report.Bad, "the report is not whole: %v", strings.TrimSpace(err.Error()))
		}
	}
}
