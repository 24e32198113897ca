namespace DualSparse.Models;

/// <summary>Rotary position embedding: pair i of a head is turned by position · <see cref="InverseFrequencies"/>[i].</summary>
internal sealed record RopeConfig
{
    /// <summary>The base of the frequencies.</summary>
    public required double Theta { get; init; }

    /// <summary>How many elements of a head are turned; even.</summary>
    public required int Size { get; init; }

    /// <summary>Whether pair i is elements (2i, 2i+1), as in DeepSeek; otherwise (i, i + Size/2).</summary>
    public bool Interleaved { get; init; }

    /// <summary>
    /// [3]: how many pairs turn by a token's time, row and column (M-RoPE); null: all turn by its place in the text. Pairs 1, 4, 7, … turn by rows and
    /// 2, 5, 8, … by columns, as many as there are; the others by time.
    /// </summary>
    public IReadOnlyList<int>? GridSections { get; init; }

    /// <summary>How the frequencies are stretched for contexts beyond the trained one; null: not at all.</summary>
    public RopeScaling? Scaling { get; init; }

    /// <summary>Both cosines and sines are multiplied with this (YaRN's attention factor; 1 without).</summary>
    public float AttentionFactor => (float)(Scaling?.AttentionFactor ?? 1);

    /// <summary>The angle in radians by which each pair turns from one position to the next: [Size / 2].</summary>
    public float[] InverseFrequencies()
    {
        // In f32 throughout, as the implementations that models are trained and compared with.
        var frequencies = new float[Size / 2];
        for (int i = 0; i < frequencies.Length; i++)
            frequencies[i] = 1 / MathF.Pow((float)Theta, 2 * i / (float)Size);
        Scaling?.Apply(frequencies, Theta, Size);
        return frequencies;
    }
}
