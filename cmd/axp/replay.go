package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"axprocess/trace/journal"
	"axprocess/trace/replay"
	"axprocess/trace/strace"
)

// replayFlags are what axp replay is asked for.
type replayFlags struct {
	parent, pgid, sid, reaper int32
	kernel                    string
	strict, json, tree, brief bool
	timeline                  string
}

// replayCommand plays a log to the model and compares.
func replayCommand(a *app) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay FILE…",
		Short: "Plays a log of strace -f to the rules, and says where they disagree",
		Long: `Plays logs of strace -f to a process table, predicts what each call gives (who
a wait returns and with what status, errors of setpgid, setsid, kill and wait,
who gets the orphans) and compares with what the log says.

What a log can't tell, since two calls overlap in it or since it is about
processes that it doesn't show, is counted as unpredictable, with the reason.
A log begins in the middle of the world: what had to be assumed is shown, and
can be given. A FILE may be packed by gzip or zstd; - is standard input.

Exit code 1: something disagrees.`,
		Example: `  strace -f -ttt -o build.log make -j4; axp replay build.log
  axp replay --strict --json build.log.zst`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return f.replay(a, args) },
	}
	flags := c.Flags()
	flags.BoolVar(&f.strict, "strict", false, "what is unpredictable fails too")
	flags.BoolVar(&f.json, "json", false, "print one JSON object a file")
	flags.BoolVar(&f.brief, "brief", false, "a line a file: lines, calls, predicted, agreed, mismatched, unpredictable")
	flags.BoolVar(&f.tree, "tree", false, "the whole tree over time, however long")
	flags.StringVar(&f.timeline, "timeline", "", "draw the processes over time into `FILE`, a page for a browser")
	flags.Int32Var(&f.parent, "parent", 0, "the first process's parent, `PID`")
	flags.Int32Var(&f.pgid, "pgid", 0, "the first process's group, `PGID`")
	flags.Int32Var(&f.sid, "sid", 0, "the first process's session, `SID`")
	flags.Int32Var(&f.reaper, "reaper", 0, "who gets orphans that nobody in the log does, `PID`")
	c.MarkFlagsMutuallyExclusive("json", "brief", "tree")
	flags.StringVar(&f.kernel, "kernel", "", "the `VERSION` of the kernel that the log is of, as 6.1")
	return c
}

func (f *replayFlags) options() (o replay.Options, err error) {
	for name, n := range map[string]int32{"parent": f.parent, "pgid": f.pgid, "sid": f.sid, "reaper": f.reaper} {
		if n < 0 || n > maxPID {
			return o, fmt.Errorf("--%s %d: not a process id (1 to %d)", name, n, maxPID)
		}
	}
	o = replay.Options{Parent: f.parent, PGID: f.pgid, SID: f.sid, Reaper: f.reaper}
	if f.kernel != "" {
		if o.Kernel, err = replay.ParseKernel(f.kernel); err != nil {
			return o, fmt.Errorf("--kernel: %w", err)
		}
	}
	return o, nil
}

func (f *replayFlags) replay(a *app, files []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	sound := true
	logs := gather(files)
	if f.timeline != "" && len(logs) > 1 {
		return fmt.Errorf("--timeline draws one log, and there are %d", len(logs))
	}
	for i, log := range logs {
		r, err := replayLog(a, log, o)
		if err != nil {
			return err
		}
		if f.timeline != "" {
			if err := writeTimeline(r, f.timeline); err != nil {
				return err
			}
		}
		sound = sound && r.Sound(f.strict)
		switch {
		case f.json:
			err = printReplayJSON(a.out, r)
		case f.brief:
			printBrief(a.out, r, i == 0)
		default:
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			printReplay(a.out, r, f.tree)
		}
		if err != nil {
			return err
		}
	}
	if !sound {
		return errFinding
	}
	return nil
}

// gather puts the files of strace -ff, PREFIX.PID, together: each element is one
// log.
func gather(files []string) (logs [][]string) {
	at := map[string]int{}
	for _, name := range files {
		prefix, _, ok := partOf(name)
		if i, seen := at[prefix]; ok && seen {
			logs[i] = append(logs[i], name)
			continue
		}
		if ok {
			at[prefix] = len(logs)
		}
		logs = append(logs, []string{name})
	}
	return logs
}

func partOf(name string) (prefix string, tid int32, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", 0, false
	}
	pid, err := parsePID(name[dot+1:])
	return name[:dot], int32(pid), err == nil
}

// replayLog replays one file, or the files of one strace -ff.
func replayLog(a *app, files []string, o replay.Options) (*replay.Report, error) {
	if len(files) == 1 {
		return replayFile(a, files[0], o)
	}
	prefix, _, _ := partOf(files[0])
	parts := make([]strace.Part, len(files))
	for i, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		unpacked, err := strace.Open(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer unpacked.Close()
		_, tid, _ := partOf(name)
		parts[i] = strace.Part{Name: name, TID: tid, From: strace.NewReader(unpacked)}
	}
	progress := newProgress(a.stderr, prefix)
	o.Progress = progress.lines
	defer progress.clear()
	return replay.StraceParts(prefix, parts, o)
}

// replayFile replays one file, or standard input.
func replayFile(a *app, name string, o replay.Options) (*replay.Report, error) {
	in, shown := a.stdin, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in, shown = file, name
	}
	unpacked, err := strace.Open(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	defer unpacked.Close()
	progress := newProgress(a.stderr, shown)
	o.Progress = progress.lines
	log := bufio.NewReaderSize(unpacked, 64<<10)
	beginning, _ := log.Peek(64)
	var r *replay.Report
	if journal.IsJournal(beginning) {
		r, err = replay.Journal(shown, log, o)
	} else {
		r, err = replay.Strace(shown, strace.NewReader(log), o)
	}
	progress.clear()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return r, nil
}

// progress shows on a terminal how far a long file is read.
type progress struct {
	w     io.Writer // nil: nobody looks
	what  string
	start time.Time
	shown bool
}

func newProgress(w io.Writer, what string) *progress {
	p := &progress{what: what, start: time.Now()}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.w = w
	}
	return p
}

func (p *progress) lines(n int64) {
	if p.w != nil && time.Since(p.start) > time.Second {
		fmt.Fprintf(p.w, "\r%s: %d lines…", p.what, n)
		p.shown = true
	}
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

type replayMismatch struct {
	Line int64  `json:"line"`
	Call string `json:"call"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Rule string `json:"rule"`
}

type replayAssumption struct {
	What  string `json:"what"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// printReplayJSON prints the object that docs/replay.md describes.
func printReplayJSON(w io.Writer, r *replay.Report) error {
	v := struct {
		File          string             `json:"file"`
		Lines         int64              `json:"lines"`
		Records       int64              `json:"records"`
		Processes     int64              `json:"processes"`
		Threads       int64              `json:"threads"`
		Calls         int64              `json:"calls"`
		Predicted     int64              `json:"predicted"`
		Agreed        int64              `json:"agreed"`
		Mismatched    int64              `json:"mismatched"`
		Unpredictable int64              `json:"unpredictable"`
		Reasons       map[string]int64   `json:"reasons"`
		Mismatches    []replayMismatch   `json:"mismatches"`
		Assumed       []replayAssumption `json:"assumed"`
		Notes         []string           `json:"notes"`
	}{r.File, r.Lines, r.Records, r.Processes, r.Threads, r.Calls, r.Predicted, r.Agreed, r.Mismatched, r.Unpredictable,
		r.Reasons, []replayMismatch{}, []replayAssumption{}, append([]string{}, r.Notes...)}
	for _, m := range r.Mismatches {
		v.Mismatches = append(v.Mismatches, replayMismatch(m))
	}
	for _, m := range r.Assumed {
		v.Assumed = append(v.Assumed, replayAssumption(m))
	}
	return json.NewEncoder(w).Encode(v)
}

// printBrief prints one line of a table, and its head before the first.
func printBrief(w io.Writer, r *replay.Report, first bool) {
	const row = "%-24s %7v %6v %9v %7v %10v %9v\n"
	if first {
		fmt.Fprintf(w, row, "file", "lines", "calls", "predicted", "agreed", "mismatched", "unpredict")
	}
	name := filepath.Base(r.File)
	if len(name) > 24 {
		name = name[:23] + "…"
	}
	fmt.Fprintf(w, row, name, r.Lines, r.Calls, r.Predicted, r.Agreed, r.Mismatched, r.Unpredictable)
}

// printReplay prints the summary, what disagrees, and the tree over time.
func printReplay(w output, r *replay.Report, whole bool) {
	fmt.Fprintf(w, "%s: %d lines, %d processes, %d threads\n", r.File, r.Lines, r.Processes, r.Threads)
	fmt.Fprintf(w, "%d calls: %d predicted, %d agreed, %d mismatched, %d unpredictable\n",
		r.Calls, r.Predicted, r.Agreed, r.Mismatched, r.Unpredictable)
	for reason, n := range sorted(r.Reasons) {
		fmt.Fprintf(w, "  %6d  %s\n", n, reason)
	}
	for _, m := range r.Mismatches {
		fmt.Fprintf(w, "line %d: %s\n  by the rules: %s; in the log: %s\n  %s\n", m.Line, m.Call, m.Want, m.Got, m.Rule)
	}
	if n := int(r.Mismatched) - len(r.Mismatches); n > 0 {
		fmt.Fprintf(w, "and %d more\n", n)
	}
	if len(r.Assumed) > 0 {
		fmt.Fprintln(w, "taken as given:")
	}
	for _, m := range r.Assumed {
		fmt.Fprintf(w, "  %s: %s (%s)\n", m.What, m.Value, m.From)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	rows := 40
	if whole {
		rows = -1
	}
	printLives(w, r, rows)
}
