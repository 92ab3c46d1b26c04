package license

import "time"

// zeroTime is how the format writes "no time".
const zeroTime = "0001-01-01T00:00:00Z"

// timestamp reads an RFC 3339 time in the format's only spelling: whole seconds, UTC, Z, and no JSON escapes, which
// encoding/json does not undo in a time.
func (s *scanner) timestamp() time.Time {
	text, plain := s.rawString()
	if s.err != nil {
		return time.Time{}
	}
	t, ok := parseTime(text)
	if !ok || !plain {
		s.fail("a time must read like 2026-11-01T00:00:00Z: RFC 3339, whole seconds, UTC, Z")
	}
	return t
}

// parseTime is time.Parse for one layout, strict and several times as fast.
func parseTime(text string) (time.Time, bool) {
	if len(text) != len(zeroTime) {
		return time.Time{}, false
	}
	for i := range len(text) {
		if c, shape := text[i], zeroTime[i]; '0' <= shape && shape <= '9' {
			if c < '0' || '9' < c {
				return time.Time{}, false
			}
		} else if c != shape {
			return time.Time{}, false
		}
	}
	two := func(i int) int { return int(text[i]-'0')*10 + int(text[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	// A month of 13 and a day of 31 in June roll over into another month; the year 0 is no year.
	y, m, _ := t.Date()
	return t, y == year && int(m) == month && year > 0
}

// appendTime is the inverse of parseTime.
func appendTime(buf []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	buf = append(buf, '"')
	buf = appendTwo(appendTwo(buf, year/100), year%100)
	buf = appendTwo(append(buf, '-'), int(month))
	buf = appendTwo(append(buf, '-'), day)
	buf = appendTwo(append(buf, 'T'), hour)
	buf = appendTwo(append(buf, ':'), minute)
	buf = appendTwo(append(buf, ':'), second)
	return append(buf, 'Z', '"')
}

func appendTwo(buf []byte, n int) []byte { return append(buf, byte('0'+n/10), byte('0'+n%10)) }

// writable reports whether t can be written in the format's spelling without losing anything.
func writable(t time.Time) bool {
	year := t.Year()
	return t.Nanosecond() == 0 && t.Location() == time.UTC && 1 <= year && year <= 9999
}
