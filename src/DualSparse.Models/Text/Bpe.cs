using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;

namespace DualSparse.Models.Text;

/// <summary>What the model section of tokenizer.json says besides vocabulary and merges.</summary>
internal sealed record BpeOptions
{
    /// <summary>The token for what the vocabulary lacks; null: it is left out.</summary>
    public string? UnknownToken { get; init; }

    /// <summary>Several unknown characters in a row give one unknown token.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>A character that the vocabulary lacks becomes its UTF-8 bytes, as tokens <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>A word that is a token is that token, whatever the merges would give.</summary>
    public bool IgnoreMerges { get; init; }
}

/// <summary>The BPE model: a word becomes ids. Safe for several threads.</summary>
internal sealed class Bpe
{
    // Words repeat; a long one hardly does. 32 K words of usual length are a few MiB.
    private const int CachedWords = 32768;
    private const int CachedWordLength = 64;

    private readonly Vocabulary vocabulary;
    private readonly MergeTable merges;
    private readonly BpeOptions options;
    private readonly bool byteLevel;
    private readonly Func<int, bool> isSpecial;
    private readonly int unknown;
    private readonly int own; // entries of the vocabulary; later ones were added to it
    private readonly int[] byteIds = new int[256];
    private readonly Dictionary<int, int> characterIds = [];
    private readonly ConcurrentDictionary<string, int[]> cache = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> cacheLookup;
    private int cached;

    /// <summary>Makes the model. <paramref name="vocabulary"/> holds the model's own tokens here; more may be added to it later.</summary>
    /// <param name="vocabulary">Tokens and ids.</param>
    /// <param name="merges">Merges over these ids.</param>
    /// <param name="options">Further settings.</param>
    /// <param name="byteLevel">A word's symbols are its UTF-8 bytes in the byte alphabet rather than its characters.</param>
    /// <param name="isSpecial">Which ids no plain text may become.</param>
    public Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options, bool byteLevel, Func<int, bool> isSpecial)
    {
        (this.vocabulary, this.merges, this.options, this.byteLevel, this.isSpecial) = (vocabulary, merges, options, byteLevel, isSpecial);
        own = vocabulary.Count;
        unknown = options.UnknownToken is null ? -1 : vocabulary.Id(options.UnknownToken);
        for (int value = 0; value < 256; value++)
        {
            byteIds[value] = byteLevel ? vocabulary.Id([ByteAlphabet.ToChar((byte)value)])
                : options.ByteFallback ? vocabulary.Id($"<0x{value:X2}>") : -1;
        }

        for (int entry = 0; !byteLevel && entry < vocabulary.Count; entry++)
        {
            ReadOnlySpan<byte> token = vocabulary.Utf8(entry);
            if (Rune.DecodeFromUtf8(token, out Rune rune, out int length) == OperationStatus.Done && length == token.Length)
            {
                characterIds[rune.Value] = vocabulary.IdOf(entry);
            }
        }

        cacheLookup = cache.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Appends the ids of <paramref name="word"/>, which is valid UTF-16, to <paramref name="ids"/>.</summary>
    public void Encode(ReadOnlySpan<char> word, List<int> ids)
    {
        if (word.Length > CachedWordLength)
        {
            EncodeUncached(word, ids);
            return;
        }

        if (!cacheLookup.TryGetValue(word, out int[]? known))
        {
            var fresh = new List<int>();
            EncodeUncached(word, fresh);
            known = [.. fresh];
            if (Interlocked.Increment(ref cached) > CachedWords)
            {
                cache.Clear();
                Interlocked.Exchange(ref cached, 0);
            }

            cacheLookup[word] = known;
        }

        ids.AddRange(known);
    }

    private void EncodeUncached(ReadOnlySpan<char> word, List<int> ids)
    {
        if (options.IgnoreMerges && WholeWord(word) is int id and >= 0)
        {
            ids.Add(id);
            return;
        }

        int start = ids.Count;
        if (byteLevel)
        {
            AddBytes(word, ids);
        }
        else
        {
            AddCharacters(word, ids);
        }

        int kept = MergeLoop.Run(merges, CollectionsMarshal.AsSpan(ids)[start..]);
        CollectionsMarshal.SetCount(ids, start + kept);
    }

    /// <summary>The id of the word as it stands, if it is one of the model's own, or -1. Special tokens are found in the text before it is split, never here.</summary>
    private int WholeWord(ReadOnlySpan<char> word)
    {
        int id;
        if (byteLevel)
        {
            byte[] bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(word.Length));
            int count = Encoding.UTF8.GetBytes(word, bytes);
            char[] mapped = ArrayPool<char>.Shared.Rent(count);
            for (int i = 0; i < count; i++)
            {
                mapped[i] = ByteAlphabet.ToChar(bytes[i]);
            }

            id = vocabulary.Id(mapped.AsSpan(0, count));
            ArrayPool<char>.Shared.Return(mapped);
            ArrayPool<byte>.Shared.Return(bytes);
        }
        else
        {
            id = vocabulary.Id(word);
        }

        return id >= 0 && vocabulary.Entry(id) < own && !isSpecial(id) ? id : -1;
    }

    private void AddBytes(ReadOnlySpan<char> word, List<int> ids)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(word.Length));
        int count = Encoding.UTF8.GetBytes(word, bytes);
        bool fused = false;
        foreach (byte value in bytes.AsSpan(0, count))
        {
            AddSymbol(byteIds[value], ids, ref fused);
        }

        ArrayPool<byte>.Shared.Return(bytes);
    }

    private void AddCharacters(ReadOnlySpan<char> word, List<int> ids)
    {
        bool fused = false;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in word.EnumerateRunes())
        {
            if (characterIds.TryGetValue(rune.Value, out int id))
            {
                AddSymbol(id, ids, ref fused);
                continue;
            }

            Span<byte> bytes = utf8[..rune.EncodeToUtf8(utf8)];
            bool inBytes = options.ByteFallback;
            foreach (byte value in bytes)
            {
                inBytes &= byteIds[value] >= 0;
            }

            if (!inBytes)
            {
                AddSymbol(-1, ids, ref fused);
                continue;
            }

            foreach (byte value in bytes)
            {
                AddSymbol(byteIds[value], ids, ref fused);
            }
        }
    }

    private void AddSymbol(int id, List<int> ids, ref bool fused)
    {
        if (id >= 0)
        {
            ids.Add(id);
            fused = false;
        }
        else if (unknown >= 0 && !(fused && options.FuseUnknown))
        {
            ids.Add(unknown);
            fused = true;
        }
    }
}
