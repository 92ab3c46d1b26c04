package stripesim_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

func TestSharesAreRoundedToTheNearest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, part, whole, want int64 }{
		{10000, 19, 100, 1900}, {1, 50, 100, 1}, {-1, 50, 100, -1}, {3, 50, 100, 2}, {-3, 50, 100, -2}, {1, 49, 100, 0}, {-1, 49, 100, 0},
		{0, 19, 100, 0}, {2500, 0, 100, 0}, {11900, 19, 119, 1900}, {math.MaxInt64 / 4, 2, 4, math.MaxInt64/8 + 1}, {99_999_999_999 * 999, 2_678_400, 2_678_400, 99_999_999_999 * 999},
	} {
		want(t, "share", stripesim.RoundedShare(c.amount, c.part, c.whole), c.want)
	}
}

func TestCreditsAreRoundedAsDebitsAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount, whole := rapid.Int64Range(-1e12, 1e12).Draw(t, "amount"), rapid.Int64Range(1, 1e9).Draw(t, "whole")
		part := rapid.Int64Range(0, whole).Draw(t, "part")
		got := stripesim.RoundedShare(amount, part, whole)
		if got != -stripesim.RoundedShare(-amount, part, whole) {
			t.Fatal("a credit is rounded otherwise than a debit")
		}
		if off := float64(amount)*float64(part)/float64(whole) - float64(got); math.Abs(off) > 0.5+math.Abs(float64(got))*1e-9 {
			t.Fatalf("%d is %f off", got, off)
		}
	})
}

func TestMonthsEndWhereTheyEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from   string
		months int
		want   string
	}{
		{"2027-01-31", 1, "2027-02-28"}, {"2028-01-31", 1, "2028-02-29"}, {"2027-01-31", 2, "2027-03-31"}, {"2027-12-31", 2, "2028-02-29"},
		{"2028-02-29", 12, "2029-02-28"}, {"2028-02-29", 48, "2032-02-29"}, {"2027-04-30", 1, "2027-05-30"}, {"2027-05-15", 0, "2027-05-15"},
	} {
		from, err := time.Parse(time.DateOnly, c.from)
		if err != nil {
			t.Fatal(err)
		}
		want(t, c.from, stripesim.AddMonths(from.Add(9*time.Hour), c.months).Format(time.DateTime), c.want+" 09:00:00")
	}
}

func TestBillingPeriodsFollowOneAnother(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		anchor := rapid.Int64Range(1_700_000_000, 2_000_000_000).Draw(t, "anchor")
		interval := rapid.SampledFrom([]string{"day", "week", "month", "year"}).Draw(t, "interval")
		count := rapid.Int64Range(1, 6).Draw(t, "count")
		longest := map[string]int64{"day": 1, "week": 7, "month": 31, "year": 366}[interval] * count * 24 * 3600
		shortest := map[string]int64{"day": 1, "week": 7, "month": 28, "year": 365}[interval] * count * 24 * 3600
		start := anchor
		for range 30 {
			end := stripesim.PeriodEnd(anchor, start, interval, count)
			if length := end - start; length < shortest || length > longest {
				t.Fatalf("a period of %d %s is %d s long", count, interval, length)
			}
			start = end
		}
	})
}
