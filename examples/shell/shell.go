package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"axprocess"
)

// This file is about the shell itself: a process that leads a session, reads
// lines, starts pipelines in groups of their own and waits for them.
//
// Invariants:
//   - each process of a job is in the job's group before it runs;
//   - while the shell reads a line, its own group is in the foreground.

// shell is a running shell, or a subshell of one.
type shell struct {
	*task
	prompt     string
	sub        bool // in parentheses: no jobs, no terminal
	jobs       jobTable
	status     int           // $?
	background axprocess.PID // $!
	exited     bool
}

// runShell runs the world's first process until it exits, and returns its code.
func (w *world) runShell(name, prompt string) int {
	code := make(chan int, 1)
	setUp := func(p *axprocess.Process) {
		check(p.SetDisposition(axprocess.SIGCHLD, axprocess.Default, 0)) // the init ignores it, and that is inherited
		must(p.Setsid())
		check(p.SetTerminal(w.tty.term, false))
		for _, sig := range []axprocess.Signal{axprocess.SIGTSTP, axprocess.SIGTTIN, axprocess.SIGTTOU, axprocess.SIGTERM, axprocess.SIGQUIT} {
			check(p.SetDisposition(sig, axprocess.Ignore, 0))
		}
	}
	// exec gives a handled signal its default again, so the shell handles it
	// once it runs.
	must(w.start(w.table.Init(), name, [2]file{w.tty, w.tty}, setUp, func(t *task) int {
		check(t.process.SetDisposition(axprocess.SIGINT, axprocess.Handle, 0))
		t.handles = true
		sh := &shell{task: t, prompt: prompt}
		n := sh.loop()
		code <- n
		return n
	}))
	return <-code
}

// loop reads and runs lines until exit or the end of input.
func (sh *shell) loop() int {
	buf := make([]byte, 4096)
	for !sh.exited {
		sh.notify()
		sh.print(sh.prompt)
		n, err := sh.Read(buf)
		switch {
		case errors.Is(err, errInterrupted):
			sh.takeSignals()
			sh.print("\n")
			sh.status = 130
			continue
		case err != nil || n == 0:
			return sh.status
		}
		l, err := parse(strings.TrimSuffix(string(buf[:n]), "\n"))
		if err != nil {
			sh.print(sh.name + ": " + err.Error() + "\n")
			sh.status = 2
			continue
		}
		sh.runList(l)
		sh.takeSignals()
	}
	return sh.status
}

func (sh *shell) print(s string) { _, _ = sh.Write([]byte(s)) } // who can't be written to is not told

// takeSignals takes what has come for handlers, and says whether ctrl-C has.
func (sh *shell) takeSignals() (interrupted bool) {
	for sig := sh.process.TakeSignal(); sig != 0; sig = sh.process.TakeSignal() {
		interrupted = interrupted || sig == axprocess.SIGINT
	}
	return interrupted
}

func (sh *shell) runList(l list) {
	for i, it := range l {
		if i > 0 && (l[i-1].sep == "&&" && sh.status != 0 || l[i-1].sep == "||" && sh.status == 0) {
			continue
		}
		sh.runPipeline(it.pipeline, it.sep == "&")
		if sh.exited {
			return
		}
	}
}

// runPipeline runs a builtin in the shell, all else in processes.
func (sh *shell) runPipeline(p pipeline, inBackground bool) {
	if len(p) == 1 && p[0].subshell == nil && !inBackground {
		words := sh.expand(p[0].words)
		if builtin := builtins[words[0]]; builtin != nil {
			sh.status = builtin(sh, words)
			return
		}
	}
	j, err := sh.startJob(p, inBackground)
	if err != nil {
		sh.print(sh.name + ": fork: " + err.Error() + "\n")
		sh.status = 254
		return
	}
	if !inBackground {
		sh.foreground(j)
		return
	}
	sh.background = j.members[len(j.members)-1].pid
	sh.status = 0
	if !sh.sub {
		sh.jobs.add(j)
		j.told = true
		sh.print(fmt.Sprintf("[%d] %d\n", j.number, sh.background))
	}
}

// startJob starts the processes of a pipeline, in a group of their own if the
// shell controls jobs.
func (sh *shell) startJob(p pipeline, inBackground bool) (*job, error) {
	j := &job{text: p.String()}
	in, out := sh.files[0], sh.files[1]
	for i, c := range p {
		files := [2]file{in, out}
		var next file
		if i < len(p)-1 {
			next, files[1] = newPipe()
			next.retain() // so that the writer doesn't find it closed before its reader is there
		}
		child, err := sh.world.start(sh.process, sh.commandName(c), files, func(p *axprocess.Process) {
			sh.prepare(p, j, inBackground)
		}, sh.mainOf(c))
		if i > 0 {
			in.release()
		}
		if err != nil {
			return nil, err
		}
		j.members = append(j.members, member{pid: child.PID()})
		in = next
	}
	return j, nil
}

// prepare does what a shell's child does before it execs: join the job's group,
// take the foreground for it, and undo what only the shell ignores.
func (sh *shell) prepare(p *axprocess.Process, j *job, inBackground bool) {
	if !sh.sub {
		if j.pgid == 0 {
			j.pgid = p.PID()
		}
		_ = p.Setpgid(0, j.pgid) // the group may have ended already: then its own
		if !inBackground {
			_, _ = p.SetForeground(sh.world.tty.term, j.pgid) // SIGTTOU is still ignored here
		}
		for _, sig := range []axprocess.Signal{axprocess.SIGTSTP, axprocess.SIGTTIN, axprocess.SIGTTOU, axprocess.SIGTERM, axprocess.SIGQUIT} {
			_ = p.SetDisposition(sig, axprocess.Default, 0) // unless it has ended
		}
	}
}

// foreground waits for a job as the foreground's, then takes the terminal back.
func (sh *shell) foreground(j *job) {
	for j.state() == running {
		r, err := sh.process.Wait(sh.world.ctx, axprocess.WaitAny, axprocess.WEXITED|axprocess.WUNTRACED)
		if err != nil {
			break
		}
		if other := sh.jobs.note(r, j); other == j && j.state() == stopped {
			if j.number == 0 {
				sh.jobs.add(j)
			}
			sh.jobs.choose(j)
		}
	}
	if !sh.sub {
		_, _ = sh.process.SetForeground(sh.world.tty.term, sh.process.PID()) // refused only when it has hung up
	}
	sh.status = j.status()
	switch last := j.members[len(j.members)-1].result; {
	case sh.sub:
	case j.state() == stopped:
		j.told = true
		sh.print("\n" + sh.jobs.show(j))
	case last.Cause == axprocess.Killed && axprocess.Signal(last.Code) == axprocess.SIGINT:
		sh.print("\n")
	case last.Cause != axprocess.Exited && axprocess.Signal(last.Code) != axprocess.SIGPIPE:
		sh.print(signalTexts[axprocess.Signal(last.Code)] + "\n")
	}
	if j.state() == done && j.number != 0 {
		sh.jobs.remove(j)
	}
}

// collect learns what has happened to the jobs, without waiting.
func (sh *shell) collect() {
	for {
		r, err := sh.process.Wait(context.Background(), axprocess.WaitAny, axprocess.WNOHANG|axprocess.WEXITED|axprocess.WUNTRACED|axprocess.WCONTINUED)
		if err != nil || r.Cause == 0 {
			return
		}
		if j := sh.jobs.note(r, nil); j != nil && j.state() == stopped {
			sh.jobs.choose(j)
		}
	}
}

// notify shows, before a prompt, which jobs have stopped or ended since.
func (sh *shell) notify() {
	if sh.sub {
		return
	}
	sh.collect()
	for _, j := range sh.jobs.jobs {
		if j == nil || j.told {
			continue
		}
		j.told = true
		if j.state() != running {
			sh.print(sh.jobs.show(j))
		}
		if j.state() == done {
			sh.jobs.remove(j)
		}
	}
}

// interruptible returns a context for a wait that ctrl-C ends.
func (sh *shell) interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(sh.world.ctx)
	go func() {
		defer cancel()
		_ = sh.attempt(func() (bool, <-chan struct{}, error) {
			return ctx.Err() != nil, ctx.Done(), nil
		})
	}()
	return ctx, cancel
}

// expand takes quotes off and puts $?, $! and $$ in.
func (sh *shell) expand(words []string) []string {
	replacer := strings.NewReplacer("$?", strconv.Itoa(sh.status), "$!", strconv.Itoa(int(sh.background)),
		"$$", strconv.Itoa(int(sh.process.PID())))
	expanded := make([]string, len(words))
	for i, word := range words {
		var b strings.Builder
		for _, part := range splitQuotes(word) {
			if part.literal {
				b.WriteString(part.text)
			} else {
				b.WriteString(replacer.Replace(part.text))
			}
		}
		expanded[i] = b.String()
	}
	return expanded
}

type wordPart struct {
	text    string
	literal bool // was in single quotes
}

func splitQuotes(word string) (parts []wordPart) {
	for word != "" {
		i := strings.IndexAny(word, `'"`)
		if i < 0 {
			return append(parts, wordPart{text: word})
		}
		quote := word[i : i+1]
		inside, rest, _ := strings.Cut(word[i+1:], quote)
		parts = append(parts, wordPart{text: word[:i]}, wordPart{inside, quote == "'"})
		word = rest
	}
	return parts
}

// errno is the text of a refusal, as perror(3) has it.
func errno(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		text := number.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}
