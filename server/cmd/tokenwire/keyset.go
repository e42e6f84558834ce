package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/tokenwire/tokenwire/server/rekey"
	"github.com/tokenwire/tokenwire/server/secret"
	"github.com/tokenwire/tokenwire/server/store"
)

type keysetCmd struct {
	Show   keysetShowCmd   `cmd:"" help:"Show the keys by their ids, and how many secrets each has sealed."`
	Rotate keysetRotateCmd `cmd:"" help:"Make a new key, and seal every secret again with it, also while a server runs."`
	Prune  keysetPruneCmd  `cmd:"" help:"Remove the keys with which nothing is sealed any more."`
}

// keysetPoll is how often a server looks whether its keyset has changed. It would notice a new key without: this is for keys
// that are gone, and for the log.
const keysetPoll = time.Second

// watchKeyset keeps the keys of a server those in the file, until ctx ends.
func watchKeyset(ctx context.Context, keyset *secret.Keyset, logger *slog.Logger) {
	known, failed := fmt.Sprint(keyset.Keys()), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(keysetPoll):
		}
		_, err := keyset.Refresh()
		if err != nil && !failed {
			logger.Warn("the keyset cannot be read again; the keys from before are used on", "error", err.Error())
		}
		failed = err != nil
		if now := fmt.Sprint(keyset.Keys()); now != known {
			known = now
			logger.Info("the keyset has changed", "keys", len(keyset.Keys()))
		}
	}
}

type keysetShowCmd struct {
	databaseFlags
	JSON bool `name:"json" help:"Print JSON."`
}

type keyJSON struct {
	ID      uint32 `json:"id"`
	State   string `json:"state"`
	Secrets int    `json:"secrets"`
	Answers int    `json:"answers"`
}

// Run shows the keys, never their material.
func (cmd keysetShowCmd) Run(ctx context.Context, std streams) error {
	if err := cmd.mustExist(); err != nil {
		return err
	}
	db, keyset, err := cmd.open(ctx)
	if err != nil {
		return err
	}
	found, err := look(ctx, std, db, keyset)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := cmd.print(std, keysOf(keyset, found)); err != nil {
		return err
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("%w; restore a backup, or find the keyset that has the key, or delete what it belongs to", err)
	}
	return nil
}

func (cmd keysetShowCmd) print(std streams, keys []keyJSON) error {
	if cmd.JSON {
		return writeJSON(std.out, keys)
	}
	return writeKeys(std, keys)
}

// keyMissing is the state of a key that has sealed something and is not in the keyset.
const keyMissing = "missing"

// keysOf returns the keys, oldest first, and then those that have sealed something and are not there.
func keysOf(keyset *secret.Keyset, found rekey.Found) []keyJSON {
	var keys []keyJSON
	state := "old"
	known := keyset.Keys()
	for _, id := range known {
		use := found.ByKey[id]
		if id == keyset.Sealing() {
			keys, state = append(keys, keyJSON{id, "seals", use.Secrets, use.Answers}), "new"
			continue
		}
		keys = append(keys, keyJSON{id, state, use.Secrets, use.Answers})
	}
	for _, id := range slices.Sorted(maps.Keys(found.ByKey)) {
		if use := found.ByKey[id]; !slices.Contains(known, id) {
			keys = append(keys, keyJSON{id, keyMissing, use.Secrets, use.Answers})
		}
	}
	return keys
}

func writeKeys(std streams, keys []keyJSON) error {
	rows := make([][]string, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, []string{strconv.FormatUint(uint64(k.ID), 10), k.State, strconv.Itoa(k.Secrets), strconv.Itoa(k.Answers)})
	}
	return writeTable(std.out, []string{"KEY ID", "STATE", "SECRETS", "ANSWERS"}, rows)
}

func look(ctx context.Context, std streams, db rekey.Reader, keyset *secret.Keyset) (rekey.Found, error) {
	bar := newProgress(std.err, "opening what is sealed")
	found, err := rekey.Look(ctx, db, keyset, bar.set)
	return found, errors.Join(err, bar.close())
}

type keysetRotateCmd struct {
	databaseFlags
	AddOnly bool `env:"TOKENWIRE_KEYSET_ADD_ONLY" help:"Add the new key to the file and stop, so that the file can be copied to other machines before the key is used."`
}

// Help says what happens, and what does not.
func (keysetRotateCmd) Help() string {
	return `A new key is added to the keyset, the database is told to accept what it has sealed and nothing else, and every secret and
every answer that is kept for an idempotency key is sealed again with it. A server may be using the database: it notices by itself, and no
call fails. Whatever has interrupted it, run it again: it goes on where it was, and removes what was left beside the keyset, KEYSET.UUID.

The old keys stay in the file, for links of lists that were handed out before and for backups of the database that were made before:
tokenwire keyset prune removes them. Where servers on several machines have copies of the file, rotate with --add-only first, copy the file
to each of them, and rotate again.`
}

// Run rotates the keys.
func (cmd keysetRotateCmd) Run(ctx context.Context, std streams) error {
	return cmd.edit(ctx, func(db store.Store, e *secret.Editor) error {
		id, err := cmd.newKey(ctx, std, db, e)
		if err != nil {
			return err
		}
		if cmd.AddOnly {
			_, err := fmt.Fprintf(std.out, "Key %d is in %s, and seals nothing yet. Copy the file to every machine that has one, and run tokenwire keyset rotate.\n",
				id, absolute(cmd.keysetFile()))
			return err
		}
		if err := moveTo(ctx, db, e, id); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(std.out, "Key %d seals. Sealing again what older keys have sealed.\n", id); err != nil {
			return err
		}
		return cmd.reseal(ctx, std, db, e)
	})
}

// newKey returns the key to go on with: one that was added and does not seal yet, the one that seals if older ones have sealed
// something still, or one that is made now.
func (cmd keysetRotateCmd) newKey(ctx context.Context, std streams, db store.Store, e *secret.Editor) (uint32, error) {
	keys := e.Keys()
	if newest := keys[len(keys)-1]; newest != e.Sealing() {
		return newest, nil
	}
	if !cmd.AddOnly {
		found, err := look(ctx, std, db, e.Keyset)
		if err != nil {
			return 0, err
		}
		if err := found.Err(); err != nil {
			return 0, fmt.Errorf("%w; nothing was changed, see tokenwire doctor", err)
		}
		if found.Others(e.Sealing()) > 0 {
			return e.Sealing(), nil
		}
	}
	return e.AddKey()
}

// moveTo makes a key that is in the file the one that seals.
func moveTo(ctx context.Context, db store.Store, e *secret.Editor, id uint32) error {
	if e.Sealing() != id {
		before, err := db.KeysetCheck(ctx)
		if err != nil {
			return err
		}
		check, err := e.CheckBy(id)
		if err != nil {
			return err
		}
		kept, err := db.MoveKeysetCheck(ctx, before, check)
		if err != nil {
			return err
		}
		if secret.KeyID(kept) != id {
			return fmt.Errorf("the keys were rotated at the same time by somebody else, to key %d; copy their keyset", secret.KeyID(kept))
		}
		if err := e.Follow(kept); err != nil {
			return err
		}
	}
	return e.Promote(id)
}

// reseal seals again until nothing is left of older keys, and shows what it has come to.
func (cmd keysetRotateCmd) reseal(ctx context.Context, std streams, db store.Store, e *secret.Editor) error {
	bar := newProgress(std.err, "sealing again").orLines(std.out)
	_, err := rekey.Reseal(ctx, db, e.Keyset, bar.set)
	if err := errors.Join(err, bar.close()); err != nil {
		return err
	}
	found, err := look(ctx, std, db, e.Keyset)
	if err != nil {
		return err
	}
	left := found.Others(e.Sealing())
	if err := writeKeys(std, keysOf(e.Keyset, found)); err != nil {
		return err
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("%w; the old keys have to stay, see tokenwire doctor", err)
	}
	if left > 0 {
		return fmt.Errorf("%d values were sealed with an older key meanwhile; run tokenwire keyset rotate again", left)
	}
	_, err = fmt.Fprintf(std.out, "Nothing is sealed with an older key any more. Backups of the database that were made before need the keyset with its old keys.\n"+
		"Copy %s to where you keep it, and run tokenwire keyset prune when no old key is needed.\n", absolute(cmd.keysetFile()))
	return err
}

type keysetPruneCmd struct {
	databaseFlags
	SaveAs  string `env:"TOKENWIRE_KEYSET_SAVE_AS" xor:"old" placeholder:"FILE" help:"Write the keyset with its old keys to this file first. Backups made before the rotation need it."`
	Discard bool   `env:"TOKENWIRE_KEYSET_DISCARD" xor:"old" help:"Keep no copy of the old keys: backups made before the rotation cannot be used any more."`
}

// Help says what is lost.
func (keysetPruneCmd) Help() string {
	return `Give --save-as=FILE or --discard. It looks first whether every sealed value opens with the key that seals now, and changes
nothing if one does not. Links of lists that were handed out before the rotation are answered with code 21481 then.`
}

// Validate wants a word about the old keys. That kong asks for one itself would make its usage show both.
func (cmd keysetPruneCmd) Validate() error {
	if cmd.SaveAs == "" && !cmd.Discard {
		return errors.New("give --save-as=FILE or --discard")
	}
	return nil
}

// Run removes old keys.
func (cmd keysetPruneCmd) Run(ctx context.Context, std streams) error {
	return cmd.edit(ctx, func(db store.Store, e *secret.Editor) error {
		sealing := e.Sealing()
		keys := e.Keys()
		if keys[len(keys)-1] != sealing {
			return errors.New("a key was added that does not seal yet; finish with tokenwire keyset rotate first")
		}
		if len(keys) == 1 {
			_, err := fmt.Fprintf(std.out, "There is one key, %d: nothing to remove.\n", sealing)
			return err
		}
		found, err := look(ctx, std, db, e.Keyset)
		if err != nil {
			return err
		}
		if err := found.Err(); err != nil { // a rotation would refuse as well
			return fmt.Errorf("%w; nothing was removed, see tokenwire doctor", err)
		}
		if left := found.Others(sealing); left > 0 {
			return fmt.Errorf("%d values are sealed with other keys than %d, and nothing was removed; run tokenwire keyset rotate", left, sealing)
		}
		if cmd.SaveAs != "" {
			if err := e.SaveAs(cmd.SaveAs); err != nil {
				return err
			}
		}
		if err := e.KeepOnly(sealing); err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "Key %d is the only one in %s now; removed: %d.\n", sealing, absolute(cmd.keysetFile()), len(keys)-1)
		return err
	})
}

// edit opens the database and its keyset, to change it.
func (f databaseFlags) edit(ctx context.Context, do func(store.Store, *secret.Editor) error) error {
	if err := f.mustExist(); err != nil {
		return err
	}
	if _, err := os.Stat(f.keysetFile()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no keyset %s: put the one of this database there, or name it with --keyset", f.keysetFile())
	}
	db, _, err := f.open(ctx)
	if err != nil {
		return err
	}
	e, err := secret.EditKeyset(f.keysetFile())
	if err != nil {
		return errors.Join(err, db.Close())
	}
	check, err := db.KeysetCheck(ctx)
	if err == nil {
		err = e.Follow(check)
	}
	if err == nil {
		err = do(db, e)
	}
	return errors.Join(err, e.Close(), db.Close())
}
