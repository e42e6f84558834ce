package storetest

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// sealedCases are about the key that seals, and what older ones have sealed.
func sealedCases() []testCase {
	return []testCase{
		{"MoveKeysetCheck/from the one that is kept", testMoveKeysetCheck},
		{"MoveKeysetCheck/refuses what the old key has sealed", testStaleSeals},
		{"MoveKeysetCheck/refuses it at once", testStaleSealsConcurrently},
		{"SealedSecrets/everything once", testSealedLists},
		{"Reseal/the sealed value alone", testResealChangesTheSealedValueAlone},
		{"Reseal/loses to a change", testResealLosesToAChange},
	}
}

// sealing is a value as a key with this name of five characters seals it.
func sealing(key, text string) []byte { return []byte(key + text) }

// sealedWorld is a world whose secrets are sealed by "key_1", and two answers that are.
func sealedWorld(t *testing.T, s store.Store) world {
	t.Helper()
	w := newWorld(t, s)
	for _, key := range []string{"a", "b"} {
		must(t, s.CreateToken(t.Context(), sealedBy(newToken(w.child.ID), "key_1"), keyed(w.parent.ID, key, "request", "key_1 "+key)))
	}
	for _, sealed := range secrets(t, s) {
		reseal(t, s, 1, []store.ResealedSecret{{TokenID: sealed.TokenID, Before: sealed.Sealed, After: sealing("key_1", sealed.TokenID.String())}}, nil)
	}
	_, err := s.InitKeysetCheck(t.Context(), sealing("key_1", "check"))
	must(t, err)
	return w
}

func sealedBy(token store.Token, key string) store.Token {
	token.SealedSecret = sealing(key, token.ID.String())
	return token
}

// secrets and answers return everything that is sealed, in parts of two.
func secrets(t *testing.T, s store.Store) []store.SealedSecret {
	t.Helper()
	var all []store.SealedSecret
	after := uuid.Nil
	for {
		part, err := s.SealedSecrets(t.Context(), after, 2)
		must(t, err)
		all = append(all, part...)
		if len(part) < 2 {
			return all
		}
		after = part[1].TokenID
	}
}

func answers(t *testing.T, s store.Store) []store.SealedAnswer {
	t.Helper()
	var all []store.SealedAnswer
	var after store.AnswerPlace
	for {
		part, err := s.SealedAnswers(t.Context(), after, 2)
		must(t, err)
		all = append(all, part...)
		if len(part) < 2 {
			return all
		}
		after = part[1].AnswerPlace
	}
}

func reseal(t *testing.T, s store.Store, want int, secrets []store.ResealedSecret, answers []store.ResealedAnswer) {
	t.Helper()
	got, err := s.Reseal(t.Context(), secrets, answers)
	must(t, err)
	if got != want {
		t.Errorf("Reseal has replaced %d, want %d", got, want)
	}
}

func moveCheck(t *testing.T, s store.Store, from, to, want []byte) {
	t.Helper()
	got, err := s.MoveKeysetCheck(t.Context(), from, to)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("MoveKeysetCheck(%s, %s) = %s, want %s", from, to, got, want)
	}
}

func testMoveKeysetCheck(t *testing.T, s store.Store) {
	moveCheck(t, s, nil, []byte("second"), nil)
	_, err := s.InitKeysetCheck(t.Context(), []byte("first"))
	must(t, err)
	moveCheck(t, s, []byte("other"), []byte("second"), []byte("first"))
	moveCheck(t, s, []byte("first"), []byte("second"), []byte("second"))
	moveCheck(t, s, []byte("first"), []byte("third"), []byte("second"))
}

// testSealedLists: every sealed value is in the lists once, in order.
func testSealedLists(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	want := []uuid.UUID{w.parentToken.ID, w.childToken.ID, w.strangerToken.ID}
	for i := range 4 {
		token := newToken(w.child.ID)
		project := []uuid.UUID{w.stranger.ID, w.parent.ID}[i%2]
		must(t, s.CreateToken(t.Context(), token, keyed(project, []string{"k", "é", "K", "ka"}[i], "request", "answer "+strconv.Itoa(i))))
		want = append(want, token.ID)
	}
	var got []uuid.UUID
	for _, secret := range secrets(t, s) {
		got = append(got, secret.TokenID)
		token, err := s.TokenBySecret(t.Context(), secret.Hash, at(2))
		must(t, err)
		if token.ID != secret.TokenID || !bytes.Equal(token.SealedSecret, secret.Sealed) {
			t.Errorf("the sealed secret of %s is another token's", secret.TokenID)
		}
	}
	slices.SortFunc(want, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	wantAnswers := []store.SealedAnswer{
		{AnswerPlace: store.AnswerPlace{ProjectID: w.parent.ID, Key: "ka"}, Sealed: []byte("answer 3")},
		{AnswerPlace: store.AnswerPlace{ProjectID: w.parent.ID, Key: "é"}, Sealed: []byte("answer 1")},
		{AnswerPlace: store.AnswerPlace{ProjectID: w.stranger.ID, Key: "K"}, Sealed: []byte("answer 2")},
		{AnswerPlace: store.AnswerPlace{ProjectID: w.stranger.ID, Key: "k"}, Sealed: []byte("answer 0")},
	}
	if bytes.Compare(w.parent.ID[:], w.stranger.ID[:]) > 0 {
		wantAnswers = append(wantAnswers[2:], wantAnswers[:2]...)
	}
	if diff := cmp.Diff(wantAnswers, answers(t, s)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	countSecrets, countAnswers, err := s.CountSealed(t.Context())
	must(t, err)
	if countSecrets != 7 || countAnswers != 4 {
		t.Errorf("CountSealed = %d, %d, want 7, 4", countSecrets, countAnswers)
	}
}

// testResealChangesTheSealedValueAlone: nothing else of the token is another than before, and no event is left.
func testResealChangesTheSealedValueAlone(t *testing.T, s store.Store) {
	w := sealedWorld(t, s)
	trail := store.AuditQuery{Account: w.parent.ID, Page: store.Page{Limit: 100}}
	before := events(t, s, trail)
	want, err := s.Token(t.Context(), w.parent.ID, w.parentToken.ID)
	must(t, err)
	moveCheck(t, s, sealing("key_1", "check"), sealing("key_2", "check"), sealing("key_2", "check"))
	reseal(t, s, 2, []store.ResealedSecret{{TokenID: want.ID, Before: want.SealedSecret, After: sealing("key_2", "x")}},
		[]store.ResealedAnswer{{AnswerPlace: store.AnswerPlace{ProjectID: w.parent.ID, Key: "b"}, Before: []byte("key_1 b"), After: []byte("key_2 b")}})
	want.SealedSecret = sealing("key_2", "x")
	wantToken(t, s, want)
	wantReplay(t, s.CreateToken(t.Context(), newToken(w.parent.ID), keyed(w.parent.ID, "a", "request", "none")), "key_1 a")
	wantReplay(t, s.CreateToken(t.Context(), newToken(w.parent.ID), keyed(w.parent.ID, "b", "request", "none")), "key_2 b")
	if diff := cmp.Diff(before, events(t, s, trail)); diff != "" {
		t.Errorf("the audit trail (-before +after):\n%s", diff)
	}
}

// testResealLosesToAChange: a value that was changed meanwhile stays as it is, and those beside it are replaced.
func testResealLosesToAChange(t *testing.T, s store.Store) {
	w := sealedWorld(t, s)
	all := secrets(t, s)
	rotation := newRotation(3)
	rotation.SealedSecret = sealing("key_1", "rotated")
	rotated, err := s.RotateToken(t.Context(), w.parent.ID, w.childToken.ID, rotation, made(3))
	must(t, err)
	must(t, s.DeleteToken(t.Context(), w.stranger.ID, w.strangerToken.ID, made(3)))
	var changes []store.ResealedSecret
	for _, secret := range all {
		changes = append(changes, store.ResealedSecret{TokenID: secret.TokenID, Before: secret.Sealed, After: append(slices.Clone(secret.Sealed), "again"...)})
	}
	reseal(t, s, len(all)-2, changes, []store.ResealedAnswer{
		{AnswerPlace: store.AnswerPlace{ProjectID: w.parent.ID, Key: "a"}, Before: []byte("another"), After: []byte("key_1 x")},
		{AnswerPlace: store.AnswerPlace{ProjectID: newID(), Key: "a"}, Before: []byte("key_1 a"), After: []byte("key_1 x")},
		{AnswerPlace: store.AnswerPlace{ProjectID: w.stranger.ID, Key: "a"}, Before: []byte("key_1 a"), After: []byte("key_1 x")},
	})
	wantToken(t, s, rotated)
	wantReplay(t, s.CreateToken(t.Context(), newToken(w.parent.ID), keyed(w.parent.ID, "a", "request", "none")), "key_1 a")
}

// testStaleSeals: when the check has moved, nothing is kept that was sealed with the key from before.
func testStaleSeals(t *testing.T, s store.Store) {
	w := sealedWorld(t, s)
	before := everything(t, s, w)[:5]
	kept := answers(t, s)
	moveCheck(t, s, sealing("key_1", "check"), sealing("key_2", "check"), sealing("key_2", "check"))
	project := newProject(uuid.Nil)
	stale := newRotation(3)
	stale.SealedSecret = sealing("key_1", "x")
	for name, call := range map[string]func(context.Context) error{
		"CreateToken": func(ctx context.Context) error {
			return s.CreateToken(ctx, sealedBy(newToken(w.parent.ID), "key_1"), made(3))
		},
		"CreateProject": func(ctx context.Context) error {
			return s.CreateProject(ctx, project, new(sealedBy(newToken(project.ID), "key_1")), made(3))
		},
		"RotateToken": func(ctx context.Context) error {
			_, err := s.RotateToken(ctx, w.parent.ID, w.parentToken.ID, stale, made(3))
			return err
		},
		"an answer": func(ctx context.Context) error {
			return s.CreateToken(ctx, sealedBy(newToken(w.parent.ID), "key_2"), keyed(w.parent.ID, "c", "request", "key_1 c"))
		},
		"Reseal": func(ctx context.Context) error {
			_, err := s.Reseal(ctx, []store.ResealedSecret{
				{TokenID: w.childToken.ID, Before: sealing("key_1", w.childToken.ID.String()), After: sealing("key_2", "x")},
				{TokenID: w.parentToken.ID, Before: sealing("key_1", w.parentToken.ID.String()), After: sealing("key_1", "x")},
			}, nil)
			return err
		},
		"Reseal of an answer": func(ctx context.Context) error {
			_, err := s.Reseal(ctx, nil, []store.ResealedAnswer{{AnswerPlace: kept[0].AnswerPlace, Before: kept[0].Sealed, After: []byte("key_1 x")}})
			return err
		},
	} {
		wantErr(t, name, call(t.Context()), store.ErrStaleSeal)
	}
	if diff := cmp.Diff(before, everything(t, s, w)[:5]); diff != "" {
		t.Errorf("what is stored, before and after (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(kept, answers(t, s)); diff != "" {
		t.Errorf("the answers (-before +after):\n%s", diff)
	}
	fresh := sealedBy(newToken(w.parent.ID), "key_2")
	must(t, s.CreateToken(t.Context(), fresh, keyed(w.parent.ID, "c", "request", "key_2 c")))
	wantToken(t, s, fresh)
}

// testStaleSealsConcurrently: whatever is kept after the check has moved has the new key, whenever it was asked for.
func testStaleSealsConcurrently(t *testing.T, s store.Store) {
	w := sealedWorld(t, s)
	moved := make(chan []store.SealedSecret, 1)
	concurrently(t, 16, store.ErrStaleSeal, func(i int) error {
		if i > 0 {
			return s.CreateToken(context.Background(), sealedBy(newToken(w.child.ID), "key_1"), made(3))
		}
		_, err := s.MoveKeysetCheck(context.Background(), sealing("key_1", "check"), sealing("key_2", "check"))
		if err != nil {
			return err
		}
		found, err := s.SealedSecrets(context.Background(), uuid.Nil, 100)
		moved <- found
		return err
	})
	if diff := cmp.Diff(<-moved, secrets(t, s)); diff != "" {
		t.Errorf("there are more secrets of the old key than when the check had moved (-then +now):\n%s", diff)
	}
}
