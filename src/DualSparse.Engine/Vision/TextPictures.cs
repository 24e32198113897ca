using DualSparse.Kernels.Ops;

namespace DualSparse.Engine.Vision;

/// <summary>Where a text has pictures, and so where each of its tokens is (M-RoPE). Immutable.</summary>
internal sealed class TextPictures
{
    private readonly Placed[] placed;

    private TextPictures(Placed[] placed) => this.placed = placed;

    /// <summary>Pictures, and the index of each one's first token.</summary>
    public IEnumerable<(int First, PictureRows Picture)> All => placed.Select(one => (one.First, one.Picture));

    /// <summary>A picture in a text.</summary>
    /// <param name="First">Its first token's index.</param>
    /// <param name="Start">That token's position.</param>
    /// <param name="Picture">The picture.</param>
    private readonly record struct Placed(int First, int Start, PictureRows Picture);

    /// <summary>The pictures of a text whose tokens stand for their rows.</summary>
    /// <param name="ids">The text.</param>
    /// <param name="imageToken">The id that stands for a row of a picture.</param>
    /// <param name="pictures">The pictures in their order.</param>
    /// <returns>Null where there are none.</returns>
    /// <exception cref="ArgumentException">The ids stand for other numbers of rows.</exception>
    public static TextPictures? Of(ReadOnlySpan<int> ids, int imageToken, IReadOnlyList<PictureRows> pictures)
    {
        int tokens = ids.Count(imageToken), rows = pictures.Sum(picture => picture.Tokens);
        if (tokens != rows)
            throw new ArgumentException($"the text has {tokens} tokens that stand for pictures, expected {rows}, those of its {pictures.Count} pictures");
        if (pictures.Count == 0)
            return null;
        var at = new (int First, PictureRows Picture)[pictures.Count];
        for (int i = 0, index = 0; i < at.Length; i++)
        {
            index += ids[index..].IndexOf(imageToken);
            at[i] = (index, pictures[i]);
            if (ids.Slice(index, pictures[i].Tokens).ContainsAnyExcept(imageToken))
                throw new ArgumentException($"picture {i + 1} of the text has {pictures[i].Tokens} tokens, expected them side by side");
            index += pictures[i].Tokens;
        }

        return At(at);
    }

    /// <summary>Pictures at given places.</summary>
    /// <param name="pictures">Each one's first token's index, rising, and the picture.</param>
    public static TextPictures At(IEnumerable<(int First, PictureRows Picture)> pictures)
    {
        List<Placed> placed = [];
        foreach (var (first, picture) in pictures)
            placed.Add(new Placed(first, placed is [.., var before] ? Behind(before, first) : first, picture));
        return new TextPictures([.. placed]);
    }

    /// <summary>The pictures that begin before a token; null where there are none.</summary>
    public TextPictures? Before(int index) => placed[0].First >= index ? null : new([.. placed.TakeWhile(one => one.First < index)]);

    /// <summary>The pictures of this text, then those of what is put behind it.</summary>
    /// <param name="tokens">Tokens of this text.</param>
    /// <param name="behind">The other's.</param>
    public TextPictures And(int tokens, TextPictures behind) => At([.. All, .. behind.All.Select(one => (tokens + one.First, one.Picture))]);

    /// <summary>The first token of the picture that a text of so many tokens ends inside of; null: it ends inside none.</summary>
    public int? CutAt(int tokens) => placed.Where(one => one.First < tokens && tokens < one.First + one.Picture.Tokens).Select(one => (int?)one.First).FirstOrDefault();

    /// <summary>The text's tokens with numbers below zero in the place of a picture's, by which texts with other pictures differ.</summary>
    public int[] Keys(ReadOnlySpan<int> ids)
    {
        int[] keys = ids.ToArray();
        foreach (var (first, _, picture) in placed)
        {
            for (int token = 0; token < picture.Tokens && first + token < keys.Length && picture.Digest is { } digest; token++)
                keys[first + token] = digest.Key(token);
        }

        return keys;
    }

    /// <summary>A token's place.</summary>
    /// <param name="index">Its index in the text.</param>
    public GridPlace Place(int index)
    {
        int last = placed.Length - 1;
        while (last >= 0 && placed[last].First > index)
            last--;
        if (last < 0)
            return GridPlace.OfText(index);
        var (first, start, picture) = placed[last];
        int token = index - first;
        return token >= picture.Tokens ? GridPlace.OfText(Behind(placed[last], index)) : new GridPlace(start, start + token / picture.Columns, start + token % picture.Columns);
    }

    /// <summary>The parts of pictures among some tokens.</summary>
    /// <param name="first">The first token's index.</param>
    /// <param name="count">Tokens.</param>
    /// <returns>Each part's first row among these tokens, the picture, its first token there, and how many.</returns>
    public IEnumerable<(int Row, PictureRows Picture, int Token, int Count)> In(int first, int count)
    {
        foreach (var one in placed)
        {
            int from = Math.Max(first, one.First), to = Math.Min(first + count, one.First + one.Picture.Tokens);
            if (from < to)
                yield return (from - first, one.Picture, from - one.First, to - from);
        }
    }

    // The position of a token behind a picture.
    private static int Behind(Placed before, int index) => before.Start + before.Picture.Span + index - before.First - before.Picture.Tokens;
}
