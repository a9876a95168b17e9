// Package kerneltype finds where the kernel's structs have their fields, for BPF
// programs: by the kernel's own type information (BTF, Documentation/bpf/btf.rst).
//
// It looks for a few structs by name and leaves the other hundred thousand types
// alone: a few milliseconds, where a library that can say everything takes ten times
// as long.
package kerneltype

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Types is type information as the kernel has it.
type Types struct {
	types, strings []byte
	at             []uint32 // where each type is, by its number, from 1
	mapped         []byte
}

// Close gives the memory back. The types can't be used afterwards.
func (t *Types) Close() {
	if t.mapped != nil {
		_ = unix.Munmap(t.mapped)
	}
	*t = Types{}
}

// The header: the fields that are used, and how long it is at least.
const (
	magic      = 0xeb9f // u16
	atHeadLen  = 4      // u32; likewise the next
	atTypes    = 8      // from the header's end
	atTypesLen = 12
	atStrings  = 16 // from the header's end
	atStrsLen  = 20
	minHeadLen = 24
)

// A type: name, kind and number of members, size; then what its kind has.
const (
	typeLen   = 12
	memberLen = 12 // name, type, offset
)

const (
	kindStruct = 4
	kindUnion  = 5
)

// tail is how much follows a type, by kind: so much, and so much for each member.
var tail = [...]struct{ fixed, each int }{
	1: {4, 0}, 2: {}, 3: {12, 0}, kindStruct: {0, memberLen}, kindUnion: {0, memberLen}, 6: {0, 8}, 7: {}, 8: {}, 9: {}, 10: {},
	11: {}, 12: {}, 13: {0, 8}, 14: {4, 0}, 15: {0, 12}, 16: {}, 17: {4, 0}, 18: {}, 19: {0, 12},
}

// Load returns the running kernel's types, until Close.
func Load() (*Types, error) {
	f, err := os.Open("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	raw, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil { // before Linux 6.16
		if raw, err = os.ReadFile(f.Name()); err != nil {
			return nil, err
		}
		return Parse(raw)
	}
	t, err := Parse(raw)
	if err != nil {
		_ = unix.Munmap(raw)
		return nil, err
	}
	t.mapped = raw
	return t, nil
}

// Parse reads type information of this machine's byte order.
func Parse(raw []byte) (*Types, error) {
	if len(raw) < minHeadLen || binary.NativeEndian.Uint16(raw) != magic {
		return nil, errors.New("no type information")
	}
	u32 := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(raw[at:])) }
	section := func(at, n uint64) []byte {
		if at += u32(atHeadLen); at+n > uint64(len(raw)) {
			return nil
		}
		return raw[at : at+n]
	}
	t := &Types{types: section(u32(atTypes), u32(atTypesLen)), strings: section(u32(atStrings), u32(atStrsLen))}
	if t.types == nil || t.strings == nil {
		return nil, errors.New("the type information is cut off")
	}
	t.at = append(make([]uint32, 0, len(t.types)/24), 0) // 24: about what a type takes
	for at := 0; at < len(t.types); {
		t.at = append(t.at, uint32(at))
		if at+typeLen > len(t.types) {
			return nil, errors.New("the type information ends in a type")
		}
		kind, members := t.kind(at)
		if kind == 0 || kind >= len(tail) {
			return nil, fmt.Errorf("the type information has a kind %d", kind)
		}
		if at += typeLen + tail[kind].fixed + members*tail[kind].each; at > len(t.types) {
			return nil, errors.New("the type information ends in a type")
		}
	}
	return t, nil
}

func (t *Types) u32(at int) uint32 { return binary.NativeEndian.Uint32(t.types[at:]) }

func (t *Types) kind(at int) (kind, members int) {
	info := t.u32(at + 4)
	return int(info >> 24 & 0x1f), int(info & 0xffff)
}

// name returns the number of a name; names are kept once each.
func (t *Types) name(name string) (uint32, bool) {
	i := bytes.Index(t.strings, append(append([]byte{0}, name...), 0))
	return uint32(i + 1), i >= 0 && name != ""
}

// Field returns where a struct has a field, in bits; also in its unnamed parts.
func (t *Types) Field(of, field string) (bits uint32, err error) {
	structName, found1 := t.name(of)
	fieldName, found2 := t.name(field)
	if found1 && found2 {
		for _, at := range t.at[1:] {
			if kind, members := t.kind(int(at)); kind != kindStruct || members == 0 || t.u32(int(at)) != structName {
				continue
			}
			if bits, found := t.member(at, fieldName, 0); found {
				return bits, nil
			}
		}
	}
	return 0, fmt.Errorf("the kernel's struct %s has no field %s", of, field)
}

// maxDepth is how deep unnamed parts are looked into.
const maxDepth = 8

func (t *Types) member(at uint32, name uint32, depth int) (bits uint32, found bool) {
	kind, members := t.kind(int(at))
	if kind != kindStruct && kind != kindUnion || depth > maxDepth {
		return 0, false
	}
	bitfields := t.u32(int(at)+4)>>31 != 0 // then offsets have a size above 24 bits
	for m := int(at) + typeLen; members > 0; m, members = m+memberLen, members-1 {
		offset := t.u32(m + 8)
		if bitfields {
			offset &= 1<<24 - 1
		}
		if t.u32(m) == name {
			return offset, true
		}
		if number := t.u32(m + 4); t.u32(m) == 0 && int(number) < len(t.at) && number > 0 {
			if inner, found := t.member(t.at[number], name, depth+1); found {
				return offset + inner, true
			}
		}
	}
	return 0, false
}
