using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.RankSuite;

/// <summary>
/// A way through a model that meets what passes can be: prompts of several lengths side by side, then tokens of one sequence, of some or of all, a
/// sequence that loses its end, one that begins late.
/// </summary>
/// <param name="Logits">All that were computed.</param>
/// <param name="Ids">The tokens chosen, the most probable ones, in the order of passes.</param>
internal sealed record Walk(float[] Logits, int[] Ids)
{
    private const int Tokens = 6, Context = 96, TakenBack = 3;

    // On four ranks as many rows each as travel in pieces.
    private const int ManySequences = 24, ManyTokens = 180;

    /// <summary>One pass of many rows.</summary>
    /// <param name="model">The model; of several ranks, the first one's.</param>
    public static Walk Many(Transformer model)
    {
        KvCache[] caches = [.. Enumerable.Range(0, ManySequences).Select(_ => model.NewCache(ManyTokens))];
        SequenceChunk[] batch = [.. caches.Select((cache, s) => new SequenceChunk(cache, (int[])[.. Enumerable.Range(0, ManyTokens).Select(i => (i * 37 + s * 11 + 5) % model.Config.VocabSize)]))];
        float[] logits = model.Forward(batch).ToArray();
        Array.ForEach(caches, cache => cache.Dispose());
        int vocabulary = model.Config.VocabSize;
        return new Walk(logits, [.. batch.Select((_, s) => Best(logits.AsSpan(s * vocabulary, vocabulary)))]);
    }

    /// <summary>Goes it.</summary>
    /// <param name="model">The model; of several ranks, the first one's.</param>
    /// <param name="drop">Each sequence's drop; null: none, and nothing is counted.</param>
    /// <param name="sequences">One, or several.</param>
    public static Walk Through(Transformer model, DropRequest? drop, int sequences)
    {
        KvCache[] caches = [.. Enumerable.Range(0, sequences).Select(_ => model.NewCache(Context))];
        TextDrop?[] texts = [.. caches.Select(_ => drop is null ? null : model.NewText(drop))];
        int[] last = new int[sequences];
        List<float> logits = [];
        List<int> ids = [];
        // The last of several isn't there at first.
        Pass([.. Enumerable.Range(0, Math.Max(1, sequences - 1))], Prompt);
        for (int token = 0; token < Tokens; token++)
        {
            Pass([.. Enumerable.Range(0, sequences).Where(s => caches[s].Length > 0 && token % (s + 1) == 0)], s => [last[s]]);
            if (token == 1)
                TakeBack(0);
            if (token == 2 && sequences > 1)
                Pass([sequences - 1], Prompt);
        }

        Array.ForEach(caches, cache => cache.Dispose());
        return new Walk([.. logits], [.. ids]);

        // Longer ones than a kernel's block of rows, and a single token.
        int[] Prompt(int sequence) => [.. Enumerable.Range(0, 1 + 21 * ((sequence + 1) % 3)).Select(i => (i * 37 + sequence * 11 + 5) % model.Config.VocabSize)];

        void Pass(int[] which, Func<int, int[]> next)
        {
            SequenceChunk[] batch = [.. which.Select(s =>
            {
                int[] tokens = next(s);
                bool prompt = caches[s].Length == 0;
                return new SequenceChunk(
                    caches[s], tokens, prompt ? LogitRows.All : LogitRows.Last, !prompt, texts[s], caches[s].Length..(caches[s].Length + tokens.Length), s == 0 ? Range.All : default);
            })];
            var found = model.Forward(batch);
            logits.AddRange(found);
            int row = 0, vocabulary = model.Config.VocabSize;
            for (int i = 0; i < batch.Length; i++)
            {
                row += batch[i].LogitRowCount;
                ids.Add(last[which[i]] = Best(found.Slice((row - 1) * vocabulary, vocabulary)));
            }
        }

        void TakeBack(int sequence)
        {
            int kept = Math.Max(1, caches[sequence].Length - TakenBack);
            caches[sequence].Truncate(kept);
            texts[sequence]?.Truncate(kept);
        }
    }

    private static int Best(ReadOnlySpan<float> row)
    {
        int best = 0;
        for (int id = 1; id < row.Length; id++)
            best = row[id] > row[best] ? id : best;
        return best;
    }
}
