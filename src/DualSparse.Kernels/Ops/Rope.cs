using System.Numerics;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// Rotary position embedding: pair i of a head is rotated by the angle position · f_i and multiplied by the attention factor. Pairs
/// are (x_i, x_{i+n}) in the half-split layout (GPT-NeoX, Llama), (x_{2i}, x_{2i+1}) in the interleaved one (DeepSeek). Values past the
/// first 2n don't change.
/// </summary>
internal sealed class Rope
{
    private readonly float[] frequencies;
    private readonly float factor;
    private readonly bool interleaved;
    private readonly GridAxis[]? axes;
    private readonly Lock growing = new();
    // Row p: n cosines, then n sines, of position p.
    private float[] table = [];

    /// <summary>Prepares a rotation.</summary>
    /// <param name="inverseFrequencies">[n]: f_i, radians a position.</param>
    /// <param name="attentionFactor">Multiplies cosine and sine; 1 unless the scaling (YaRN) says otherwise.</param>
    /// <param name="interleaved">Which layout.</param>
    /// <param name="axes">[n]: by which of its token's places each pair turns; null: all by one.</param>
    public Rope(ReadOnlySpan<float> inverseFrequencies, float attentionFactor = 1, bool interleaved = false, GridAxis[]? axes = null)
    {
        frequencies = inverseFrequencies.ToArray();
        this.axes = axes;
        factor = attentionFactor;
        this.interleaved = interleaved;
    }

    /// <summary>The number of values of a head that are rotated: 2n.</summary>
    public int Size => 2 * frequencies.Length;

    /// <summary>Floats that <see cref="Turn"/> may need.</summary>
    public int TurnRoom => axes is null ? 0 : Size;

    /// <summary>Extends the table to positions 0…<paramref name="positions"/>−1, so that no thread waits for it.</summary>
    public void Prepare(int positions)
    {
        if (Size == 0 || table.Length / Size >= positions)
            return;
        lock (growing)
        {
            int have = table.Length / Size;
            if (have >= positions)
                return;
            int n = frequencies.Length;
            var grown = new float[Math.Max(positions, 2 * have) * Size];
            table.CopyTo(grown, 0);
            for (int p = have; p < grown.Length / Size; p++)
            {
                for (int i = 0; i < n; i++)
                {
                    // The angle is rounded to f32, as the reference implementations do.
                    float angle = p * frequencies[i];
                    grown[p * Size + i] = MathF.Cos(angle) * factor;
                    grown[p * Size + n + i] = MathF.Sin(angle) * factor;
                }
            }

            table = grown;
        }
    }

    /// <summary>The cosines and sines of a token's pairs, for all of its heads.</summary>
    /// <param name="place">The token's place, each number from 0; <see cref="Prepare"/> has covered them.</param>
    /// <param name="room"><see cref="TurnRoom"/> values, overwritten.</param>
    /// <returns>[2n]: n cosines, then n sines.</returns>
    public ReadOnlySpan<float> Turn(GridPlace place, Span<float> room)
    {
        if (axes is null || place.IsText)
            return table.AsSpan(place.Time * Size, Size);
        int n = frequencies.Length;
        for (int i = 0; i < n; i++)
        {
            int row = place.On(axes[i]) * Size;
            (room[i], room[n + i]) = (table[row + i], table[row + n + i]);
        }

        return room[..Size];
    }

    /// <summary>Rotates one head in place.</summary>
    /// <param name="head">At least <see cref="Size"/> values.</param>
    /// <param name="turn">What <see cref="Turn"/> gave.</param>
    public void Rotate(Span<float> head, ReadOnlySpan<float> turn) => Rotate(head, turn, first: 0);

    /// <summary>Rotates one head in place.</summary>
    /// <param name="head">At least <see cref="Size"/> values.</param>
    /// <param name="position">From 0.</param>
    /// <exception cref="ArgumentException">The head is shorter than <see cref="Size"/>, or the position negative.</exception>
    public void Rotate(Span<float> head, int position)
    {
        if (head.Length < Size || position < 0)
            throw new ArgumentException($"expected at least {Size} values and a position from 0, found {head.Length} and {position}");
        if (Size == 0)
            return;
        if (table.Length / Size <= position)
            Prepare(position + 1);
        Rotate(head, table.AsSpan(position * Size, Size), first: 0);
    }

    /// <summary>The transpose of <see cref="Rotate(Span{float}, ReadOnlySpan{float})"/>, in place: by −angle, times the same factor. Gradients go back through it.</summary>
    /// <param name="head">At least <see cref="Size"/> values.</param>
    /// <param name="turn">What <see cref="Turn"/> gave.</param>
    public void RotateBack(Span<float> head, ReadOnlySpan<float> turn) => Rotate(head, turn, first: 1);

    // Which value of a pair is the first: with the second in its place the pair turns the other way.
    private void Rotate(Span<float> head, ReadOnlySpan<float> turn, int first)
    {
        int n = frequencies.Length;
        ReadOnlySpan<float> cos = turn[..n], sin = turn[n..];
        if (interleaved)
            RotatePairs(head, cos, sin, first);
        else
            RotateHalves(head.Slice(first * n, n), head.Slice((1 - first) * n, n), cos, sin);
    }

    private static void RotateHalves(Span<float> a, Span<float> b, ReadOnlySpan<float> cos, ReadOnlySpan<float> sin)
    {
        int i = 0;
        for (; i + Vector<float>.Count <= a.Length; i += Vector<float>.Count)
        {
            var (x, y) = (new Vector<float>(a[i..]), new Vector<float>(b[i..]));
            var (c, s) = (new Vector<float>(cos[i..]), new Vector<float>(sin[i..]));
            (x * c - y * s).CopyTo(a[i..]);
            (y * c + x * s).CopyTo(b[i..]);
        }

        for (; i < a.Length; i++)
            (a[i], b[i]) = (a[i] * cos[i] - b[i] * sin[i], b[i] * cos[i] + a[i] * sin[i]);
    }

    private static void RotatePairs(Span<float> head, ReadOnlySpan<float> cos, ReadOnlySpan<float> sin, int first)
    {
        for (int i = 0; i < cos.Length; i++)
        {
            ref float a = ref head[2 * i + first], b = ref head[2 * i + 1 - first];
            (a, b) = (a * cos[i] - b * sin[i], b * cos[i] + a * sin[i]);
        }
    }
}
