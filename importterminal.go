package axprocess

// This file is about the terminals of processes that exist already.
//
// Invariants: those of terminal.go (I14). What an import names as a foreground and
// nothing goes by means nobody.

// foundTerminals are the terminals that an examination has met.
type foundTerminals struct {
	of         map[PID]*Terminal // by sid
	session    map[*Terminal]PID
	foreground map[*Terminal]PID
}

// terminal: a session has one terminal at most, a terminal one session and one
// foreground.
func (x *examination) terminal(rec *ProcessRecord) {
	term, f := rec.Terminal, &x.ttys
	switch {
	case term == nil && rec.Foreground != 0:
		x.say(rec.PID, "group %d is in the foreground of no terminal", rec.Foreground)
		return
	case term == nil:
		return
	case term.table != x.s.table:
		x.say(rec.PID, "its terminal is of another table")
		return
	case rec.SID == 0:
		x.say(rec.PID, "it has a terminal, and its session is outside")
		return
	case rec.Foreground < 0 || rec.Foreground >= x.s.numbers.max:
		x.say(rec.PID, "foreground %d is not in 0…%d", rec.Foreground, x.s.numbers.max-1)
		return
	}
	if f.of == nil {
		*f = foundTerminals{map[PID]*Terminal{}, map[*Terminal]PID{}, map[*Terminal]PID{}}
	}
	if f.of[rec.SID] == nil {
		x.firstOfSession(rec)
	}
	if sid, seen := f.session[term]; seen && sid != rec.SID {
		x.say(rec.PID, "its terminal is that of session %d and of session %d", sid, rec.SID)
	} else if f.of[rec.SID] != term {
		x.say(rec.PID, "its session %d has two terminals", rec.SID)
	} else if f.foreground[term] != rec.Foreground {
		x.say(rec.PID, "its terminal has group %d in the foreground, and group %d", f.foreground[term], rec.Foreground)
	}
}

// firstOfSession notes what a session's first record says, or the table.
func (x *examination) firstOfSession(rec *ProcessRecord) {
	f, term, foreground := &x.ttys, rec.Terminal, rec.Foreground
	if term.session != nil {
		f.session[term] = term.session.sid
		foreground = term.foreground.number()
	} else if _, seen := f.session[term]; !seen {
		f.session[term] = rec.SID
	}
	if _, seen := f.foreground[term]; !seen {
		f.foreground[term] = foreground
	}
	f.of[rec.SID] = term
	if v := x.s.sessions.Get(uint32(rec.SID)); v != nil && v.terminal != nil {
		f.of[rec.SID] = v.terminal
	}
}

// enterTerminals gives sessions their terminals. It comes last: a foreground is a
// number in use.
func (s *state) enterTerminals(records []ProcessRecord, fresh []*Process) {
	for i := range records {
		term := records[i].Terminal
		if term == nil || term.session != nil {
			continue
		}
		v := fresh[i].group.Load().session
		term.session, v.terminal, v.hungUp = v, term, nil
		if n := records[i].Foreground; s.numbers.inUse(n) {
			s.setForeground(term, n)
		}
		s.logTerminal(v, "it was found with the terminal")
	}
}
