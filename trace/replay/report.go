package replay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"axprocess"
)

// This file is about what a replay finds.

// Report is the result of a replay.
type Report struct {
	File    string // as given
	Lines   int64  // of the file
	Records int64  // lines that tell of process life

	Processes, Threads int64 // that the log tells of

	// Calls are the results that the rules can be asked about: of system calls, and
	// the ends of threads. Calls = Predicted + Unpredictable, and Predicted = Agreed
	// + Mismatched.
	Calls, Predicted, Agreed, Mismatched, Unpredictable int64

	Mismatches []Mismatch       // the first maxMismatches
	Reasons    map[string]int64 // why what was unpredictable was
	ByCall     map[string]Tally // the counts by call

	Assumed []Assumption // what the log doesn't tell and was taken as given
	Notes   []string     // what a reader should know of the log

	Duration time.Duration // from its first line to its last; 0 without time stamps
	Timed    bool          // it has time stamps
	Lives    []*Life       // in the order of birth, at most maxLives
	Kept     *Kept         // with Options.Keep
}

const (
	maxMismatches = 1000
	maxLives      = 1 << 18
)

// Tally counts the results of one call.
type Tally struct{ Calls, Agreed, Mismatched, Unpredictable int64 }

// Mismatch is one result that the rules don't give.
type Mismatch struct {
	Line int64
	Call string // who called what
	Want string // by the rules
	Got  string // by the log
	Rule string
}

// Assumption is something about the world before the log's first line.
type Assumption struct {
	What  string // "parent of the first process"
	Value string // "22799", "not known"
	From  string // "line 12: getppid", "--parent", "nothing in the log"
}

// Life is the life of one process.
type Life struct {
	ID        uint64 // unique in the replay, not 0
	StartedBy uint64 // 0: from outside of the log
	PID, PPID axprocess.PID
	PGID, SID axprocess.PID
	Args      []string
	Start     time.Duration
	StartLine int64
	Execs     []Exec
	Threads   []ThreadLife // without the leader

	Ended      bool
	End        time.Duration
	EndLine    int64
	Exit       int32            // exit code, if Signal is 0
	Signal     axprocess.Signal // what killed it
	Core       bool
	Reaped     bool
	ReapedAt   time.Duration
	ReapedBy   uint64 // 0: nobody had to, or somebody outside of the log
	ReapedLine int64
}

// Exec is one exec.
type Exec struct {
	At   time.Duration
	Args []string
}

// ThreadLife is the life of a thread that doesn't lead.
type ThreadLife struct {
	TID        axprocess.PID
	Start, End time.Duration // End 0: not ended when the log does
}

// Comm returns the name by which it is known: of the file that it executes.
func (l *Life) Comm() string {
	if len(l.Args) == 0 {
		return "?"
	}
	name := l.Args[0]
	return name[strings.LastIndexByte(name, '/')+1:]
}

// Outcome says how it ended, in words.
func (l *Life) Outcome() string {
	switch {
	case !l.Ended:
		return "not ended"
	case l.Core:
		return fmt.Sprintf("killed by %s, core dumped", l.Signal)
	case l.Signal != 0:
		return "killed by " + l.Signal.String()
	case l.Exit < 0:
		return "ended"
	}
	return fmt.Sprintf("exit %d", l.Exit)
}

// count books one result.
func (r *Report) count(call string, v verdict, reason string) {
	t := r.ByCall[call]
	r.Calls++
	t.Calls++
	switch v {
	case agrees:
		r.Predicted++
		r.Agreed++
		t.Agreed++
	case differs:
		r.Predicted++
		r.Mismatched++
		t.Mismatched++
	case learned:
		r.Unpredictable++
		t.Unpredictable++
		r.Reasons[reason]++
	}
	r.ByCall[call] = t
}

// disagree books a mismatch.
func (r *Report) disagree(kind string, m Mismatch) {
	r.count(kind, differs, "")
	if len(r.Mismatches) < maxMismatches {
		r.Mismatches = append(r.Mismatches, m)
	}
}

// Sound says whether nothing disagreed; strict counts what was unpredictable too.
func (r *Report) Sound(strict bool) bool {
	return r.Mismatched == 0 && (!strict || r.Unpredictable == 0)
}

func (r *Report) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, text) && len(r.Notes) < 100 {
		r.Notes = append(r.Notes, text)
	}
}
