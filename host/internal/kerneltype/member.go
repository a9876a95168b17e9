// Package kerneltype finds what BPF programs need in the kernel's type information.
package kerneltype

import "github.com/cilium/ebpf/btf"

// Member finds a field of a struct, also in its unnamed parts: its offset in bits,
// and whether there is one.
func Member(of btf.Type, name string) (btf.Bits, bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(of).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m.Offset, true
		}
		if m.Name == "" {
			if at, found := Member(m.Type, name); found {
				return m.Offset + at, true
			}
		}
	}
	return 0, false
}
