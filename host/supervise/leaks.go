package supervise

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// This file is about the end: what a command left, and how it is ended.
//
// Invariants:
//   - a signal goes to one process, through a pidfd that is opened before its
//     identity is checked: never to a group, never to a number alone;
//   - what could still fork is stopped before anything is killed, until a look at
//     all of /proc finds nothing new; so nothing is born meanwhile;
//   - a descriptor is held for one signal only, so any number can be ended.

// send signals one process. ESRCH if it has ended.
func (k *keeper) send(r *record, sig unix.Signal) error {
	pid := int(r.PID)
	if pid <= 1 || pid == os.Getpid() {
		return unix.EINVAL
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, ok := readStat(pid)
	k.mu.Lock()
	if ok && r.start == 0 && k.live[pid] == r && !r.isDead() {
		r.start = st.start
	}
	same := ok && st.start == r.start && !st.dead()
	k.mu.Unlock()
	if !same {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// await waits until is holds, with a look now and then; false if it was stopped.
func (k *keeper) await(is func() bool, stop <-chan struct{}, limit <-chan time.Time) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if is() {
			return true
		}
		select {
		case <-k.news:
		case <-tick.C:
		case <-stop:
			return is()
		case <-limit:
			return is()
		}
	}
}

// ending is the end of one run.
type ending struct {
	*Cmd
	kept map[*record]bool
}

// leftBehind marks what is alive after the command's end.
func (e *ending) leftBehind(first *record) {
	targets := e.targets()
	k := e.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range targets {
		r.Left = true
	}
	for r := range e.kept {
		r.Left, r.Kept = true, true
	}
}

// targets are those that are alive and not meant to stay.
func (e *ending) targets() []*record {
	living := e.keeper.living()
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	e.kept = map[*record]bool{}
	var targets []*record
	for _, r := range living { // starters come before what they start
		if r.ID != 1 && (r.Kept || e.kept[r.starter] || r.starter != nil && r.starter.Kept || e.matches(r)) {
			e.kept[r] = true
		} else {
			targets = append(targets, r)
		}
	}
	return targets
}

func (e *ending) matches(r *record) bool {
	for _, pattern := range e.Keep {
		if pattern.MatchString(r.Comm) || pattern.MatchString(r.Command()) {
			return true
		}
	}
	return false
}

// still are the targets that can be ended.
func (e *ending) still() []*record {
	targets := e.targets()
	for _, r := range targets {
		e.keeper.visit(e.follow, r)
	}
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	return slices.DeleteFunc(targets, func(r *record) bool { return r.isDead() || r.Unkillable != "" })
}

// signal sends sig to one; what may not be signalled is noted.
func (e *ending) signal(r *record, sig unix.Signal) {
	if err := e.keeper.send(r, sig); err == unix.EPERM {
		e.keeper.mu.Lock()
		r.stays("it may not be signalled: it runs as another user")
		e.keeper.mu.Unlock()
	}
}

// stays notes why a process can't be ended: it is left behind, even if it is the
// command itself.
func (r *record) stays(why string) { r.Unkillable, r.Left = why, true }

// await stays until all have ended, and tells whom it waits for; false if it was
// told to end them.
func (e *ending) await() bool {
	for {
		done := e.keeper.await(func() bool { return len(e.still()) == 0 }, e.end, time.After(waitTold))
		select {
		case <-e.end:
			return done
		case <-e.hurry:
			return done
		default:
		}
		if e.keeper.sweep(e.follow, e.keeper.look(), false); done && len(e.still()) == 0 {
			return true
		}
		e.tell()
	}
}

// waitTold is how often is told whom a wait is for. Tests are less patient.
var waitTold = 5 * time.Second

func (e *ending) tell() {
	if e.OnWait == nil {
		return
	}
	if held := e.copiesOf(e.still()); len(held) > 0 {
		e.OnWait(held)
	}
}

func (c *Cmd) copiesOf(records []*record) []Process {
	want := map[*record]bool{}
	for _, r := range records {
		want[r] = true
	}
	return c.keeper.copies(func(r *record) bool { return want[r] })
}

// endAll asks all to end, and after the grace makes them.
func (e *ending) endAll() {
	k := e.keeper
	asked := map[*record]bool{}
	ask := func() bool {
		still := e.still()
		for _, r := range still {
			if !asked[r] {
				asked[r] = true
				e.signal(r, unix.SIGTERM)
				if st, ok := readStat(int(r.PID)); ok && (st.state == 'T' || st.state == 't') {
					e.signal(r, unix.SIGCONT) // it takes the other when it runs
				}
			}
		}
		return len(still) == 0
	}
	if e.Grace > 0 {
		k.await(ask, e.hurry, time.After(e.Grace))
	}
	for stuck := 0; ; {
		e.freeze()
		before := e.still()
		if len(before) == 0 {
			return
		}
		for _, r := range before {
			e.signal(r, unix.SIGKILL)
		}
		k.await(func() bool { return gone(k, before) }, nil, time.After(killLimit))
		k.sweep(e.follow, k.look(), false)
		if gone(k, before) {
			stuck = 0
		} else if stuck++; stuck == 3 {
			e.giveUp(before)
			return
		}
	}
}

// killLimit is how long a killed process is waited for: it may have to write a
// core, or be in an uninterruptible sleep.
const killLimit = 5 * time.Second

// freeze stops all until there is nothing new.
func (e *ending) freeze() {
	frozen := map[*record]bool{}
	for {
		news := 0
		for _, r := range e.still() {
			if !frozen[r] {
				frozen[r] = true
				news++
				e.signal(r, unix.SIGSTOP)
			}
		}
		if e.keeper.sweep(e.follow, e.keeper.look(), false) == 0 && news == 0 {
			return
		}
	}
}

func gone(k *keeper, records []*record) bool {
	k.settle()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range records {
		if !r.isDead() && r.Unkillable == "" {
			return false
		}
	}
	return true
}

func (e *ending) giveUp(records []*record) {
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	for _, r := range records {
		if !r.isDead() && r.Unkillable == "" {
			r.stays(fmt.Sprintf("it has not ended within %v of SIGKILL", 3*killLimit))
		}
	}
}
