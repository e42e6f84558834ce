package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
)

// values reads the values of flags: what is not understood is answered with what would be. kong's own words are those of Go.
func values() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(
			kong.TypeMapper(reflect.TypeFor[time.Time](), mapper("time", parseTime)).Apply(k),
			kong.TypeMapper(reflect.TypeFor[*time.Time](), mapper("time", func(text string) (*time.Time, error) {
				at, err := parseTime(text)
				return &at, err
			})).Apply(k),
			kong.TypeMapper(reflect.TypeFor[time.Duration](), mapper("duration", parseDuration)).Apply(k),
			kong.TypeMapper(reflect.TypeFor[slog.Level](), mapper("level", parseLevel)).Apply(k),
		)
	})
}

// mapper gives a flag what a text is parsed as. kind is what is missing where there is none.
func mapper[T any](kind string, parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto(kind, &text); err != nil {
			return err
		}
		parsed, err := parse(text)
		if err != nil {
			return err
		}
		target.Set(reflect.ValueOf(parsed))
		return nil
	}
}

func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no time; one is 2027-01-31T12:00:00Z", text)
	}
	return at, nil
}

const day = 24 * time.Hour

// parseDuration knows days too, which Go does not.
func parseDuration(text string) (time.Duration, error) {
	refused := fmt.Errorf("%q is no duration; some are 30s, 1h and 7d", text)
	days, rest := time.Duration(0), text
	if found := regexp.MustCompile(`^(\d+)d(.*)$`).FindStringSubmatch(text); found != nil {
		count, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil || count > int64(math.MaxInt64/day)-1 {
			return 0, refused
		}
		if days, rest = time.Duration(count)*day, found[2]; rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || days > 0 && (d < 0 || d >= day) {
		return 0, refused
	}
	return days + d, nil
}

func parseLevel(text string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return level, fmt.Errorf("%q is no level; these are: debug, info, warn, error", text)
	}
	return level, nil
}
