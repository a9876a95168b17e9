package axprocess

import "syscall"

// This file is about who may send a signal: a function that the embedder gives,
// and the Unix rule for those who keep user ids.
//
// Invariant: the function is asked outside of the lock. What it was asked about is
// looked at again afterwards, by handle and not by number: a number that was given
// again meanwhile has a process that it was not asked about, and is asked about
// then.

// Permission says whether from may send sig to to; signal 0 asks whether it could.
// It is called without any lock, from the goroutine that sends, once for each
// process that the call would reach but from itself. It may use the table.
type Permission func(from, to *Process, sig Signal) bool

// WithPermission makes f decide who may send signals with Kill and the like.
// Without it all may. EINVAL, told by NewInit, if f is nil.
func WithPermission(f Permission) Option {
	return func(s *state) {
		if f == nil {
			s.misuse = refuse("new table", 0, syscall.EINVAL, "WithPermission(nil)")
		}
		s.permit = f
	}
}

// Credentials are what a process may be recognised by. The model hands them to
// children, and puts the real user id into what comes with a signal; changing them
// is the embedder's: setuid(2), and exec of a set-user-id file.
type Credentials struct {
	UID     uint32 `json:"uid,omitzero"`      // real
	EUID    uint32 `json:"euid,omitzero"`     // effective
	SUID    uint32 `json:"suid,omitzero"`     // saved
	MayKill bool   `json:"may_kill,omitzero"` // CAP_KILL, besides effective user 0, which always has it
}

// SetCredentials sets p's. ESRCH once p has exited. One lock pair.
func (p *Process) SetCredentials(c Credentials) error {
	s := p.table().enter()
	defer s.leave()
	r, err := s.caller("set credentials", p)
	if err != nil {
		return err
	}
	s.touched(p, "credentials")
	if r.extra != nil || c != (Credentials{}) {
		r.ext().creds = c
	}
	return nil
}

// Credentials returns p's; those of user 0 once it is freed. One lock pair.
func (p *Process) Credentials() Credentials {
	s := p.table().enter()
	defer s.leave()
	if r := s.row(p); r != nil && r.extra != nil {
		return r.extra.creds
	}
	return Credentials{}
}

func (r *row) uid() uint32 {
	if r.extra == nil {
		return 0
	}
	return r.extra.creds.UID
}

// UnixPermission is the rule of kill(2), for WithPermission: the sender may kill,
// or its real or effective user is the receiver's real or saved one; SIGCONT
// within a session always passes. (Kernel: check_kill_permission,
// kill_ok_by_cred.)
func UnixPermission(from, to *Process, sig Signal) bool {
	a, b := from.Credentials(), to.Credentials()
	switch {
	case a.MayKill || a.EUID == 0:
		return true
	case a.EUID == b.SUID || a.EUID == b.UID || a.UID == b.SUID || a.UID == b.UID:
		return true
	}
	return sig == SIGCONT && from.Session() == to.Session()
}
