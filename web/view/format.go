package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bojanz/currency"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

const nbsp = "\u00a0"

// How pages write times.
const (
	dayLayout   = "2 Jan 2006"
	stampLayout = dayLayout + ", 15:04" + nbsp + "UTC"
)

// Stamp writes a time as pages do: "20 Dec 2026, 09:00 UTC".
func Stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

// Day writes the UTC day of a time: "20 Dec 2026".
func Day(t time.Time) string { return t.UTC().Format(dayLayout) }

// Machine writes a time for the datetime attribute.
func Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// expires is the word before an expiry, which may be over.
func expires(at, now time.Time) string {
	if now.Before(at) {
		return "expires"
	}
	return "expired"
}

// Relative writes how far t is from now, in whole units rounded down: days, below two days hours, below two hours minutes.
func Relative(t, now time.Time) string {
	d := t.Sub(now)
	past := d < 0
	if past {
		d = -d
	}
	s := span(d)
	switch {
	case s == "":
		return "just now"
	case past:
		return s + " ago"
	}
	return "in " + s
}

func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return Count(int64(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return Count(int64(d/time.Hour), "hour")
	case d >= time.Minute:
		return Count(int64(d/time.Minute), "minute")
	}
	return ""
}

// Count writes a number with its unit: "1 day", "26 days".
func Count(n int64, unit string) string {
	if n == 1 {
		return "1" + nbsp + unit
	}
	return Number(n) + nbsp + unit + "s"
}

// symbols are how amounts begin where the currency's sign alone would be ambiguous.
var symbols = map[string]string{"USD": "US$"}

// Money writes an amount of minor units with its currency: "US$ 250.00", "€ 1,890.00", "−€ 20.00".
func Money(minor int64, code string) string {
	sign := ""
	if minor < 0 {
		sign, minor = "\u2212", -minor
	}
	amount, err := currency.NewAmountFromInt64(minor, code)
	if err != nil {
		return sign + code + nbsp + strconv.FormatInt(minor, 10) + " (minor units)"
	}
	locale := currency.NewLocale("en")
	f := currency.NewFormatter(locale)
	f.CurrencyDisplay = currency.DisplayNone
	symbol, ok := symbols[code]
	if !ok {
		symbol, _ = currency.GetSymbol(code, locale)
	}
	return sign + symbol + nbsp + strings.TrimSpace(f.Format(amount))
}

// Price writes what a template costs.
func Price(p catalog.Price) string {
	if p.ByContract {
		return "By contract"
	}
	return Money(p.UnitAmount, p.Currency) + every(p.Interval)
}

// every follows a price: " a month", "" where it is paid once.
func every(i catalog.Interval) string {
	if i == catalog.OneTime {
		return ""
	}
	return " a" + nbsp + string(i)
}

// Number writes 30000000 as "30,000,000".
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Volume writes whole millions in words, "30 million", and other numbers with separators.
func Volume(n int64) string {
	if n >= 1_000_000 && n%1_000_000 == 0 {
		return Number(n/1_000_000) + nbsp + "million"
	}
	return Number(n)
}

// Term writes how long a license of a template runs.
func Term(t catalog.Term) string {
	switch {
	case t.ByContract:
		return "By contract"
	case t.Months == 12:
		return "12" + nbsp + "months"
	case t.Months > 0:
		return Count(int64(t.Months), "month")
	}
	return Hours(t.Hours)
}

// Hours writes a number of hours, as days from four days on.
func Hours(h int) string {
	if h > 72 && h%24 == 0 {
		return Count(int64(h/24), "day")
	}
	return Count(int64(h), "hour")
}

// Middle shortens an ID in lists, keeping both ends: "lic_pilot_30d…9f2c". IDs are shown whole on their own pages.
func Middle(id string) string {
	const head, tail = 12, 4
	if len(id) <= head+tail+3 {
		return id
	}
	return id[:head] + "…" + id[len(id)-tail:]
}

// MaskEmail keeps the first letter and the domain: "e…@lumen.example".
func MaskEmail(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" {
		return "your address"
	}
	first := []rune(local)[0]
	return string(first) + "…@" + domain
}

// Size writes a number of bytes.
func Size(n int) string {
	if n < 1000 {
		return Count(int64(n), "byte")
	}
	return fmt.Sprintf("%.1f"+nbsp+"KB", float64(n)/1000)
}

// Words joins a list for reading: "production and staging".
func Words(list []string) string {
	switch len(list) {
	case 0:
		return "none"
	case 1:
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
