using System.Numerics.Tensors;
using DualSparse.Benchmarking;

namespace DualSparse.Benchmarks.Ort;

/// <summary>
/// One layer's experts in QMoE's format: a code q means (q − 2^(bits−1))·scale, with one scale for 32 inputs of one output; of two int4 the
/// first is in the low nibble; gate and up rows alternate.
/// </summary>
internal sealed class BlockQuantised(LayerShape shape, int bits)
{
    /// <summary>Inputs that share a scale.</summary>
    public const int Block = 32;

    private readonly int zero = 1 << (bits - 1);

    /// <summary>[E, 2F, D], packed codes.</summary>
    public byte[] GateUp { get; } = new byte[(long)shape.Experts * 2 * shape.Neurons * shape.Hidden * bits / 8];

    /// <summary>[E, 2F, D / 32].</summary>
    public float[] GateUpScales { get; } = new float[(long)shape.Experts * 2 * shape.Neurons * shape.Hidden / Block];

    /// <summary>[E, D, F], packed codes.</summary>
    public byte[] Down { get; } = new byte[(long)shape.Experts * shape.Hidden * shape.Neurons * bits / 8];

    /// <summary>[E, D, F / 32].</summary>
    public float[] DownScales { get; } = new float[(long)shape.Experts * shape.Hidden * shape.Neurons / Block];

    /// <summary>Fills an expert by repeating a few rows.</summary>
    /// <param name="expert">The expert.</param>
    /// <param name="gateUp">[rows, D]: a gate, its up, the next gate…</param>
    /// <param name="down">[rows, F].</param>
    public void Set(int expert, ReadOnlySpan<float> gateUp, ReadOnlySpan<float> down)
    {
        Set(gateUp, Slice(GateUp, expert), Slice(GateUpScales, expert));
        Set(down, Slice(Down, expert), Slice(DownScales, expert));
    }

    private Span<T> Slice<T>(T[] all, int expert) => all.AsSpan(all.Length / shape.Experts * expert, all.Length / shape.Experts);

    private void Set(ReadOnlySpan<float> values, Span<byte> weights, Span<float> scales)
    {
        int bytes = values.Length * bits / 8, blocks = values.Length / Block;
        for (int b = 0; b < blocks; b++)
        {
            var block = values.Slice(b * Block, Block);
            float scale = scales[b] = Math.Max(float.Epsilon, MathF.Abs(TensorPrimitives.MaxMagnitude(block)) / (zero - 1));
            for (int i = 0; i < Block; i++)
            {
                int q = zero + (int)MathF.Round(block[i] / scale), at = b * Block + i;
                if (bits == 8)
                    weights[at] = (byte)q;
                else
                    weights[at / 2] = (byte)(at % 2 == 0 ? q : weights[at / 2] | q << 4);
            }
        }

        for (int at = bytes; at < weights.Length; at += bytes)
            weights[..bytes].CopyTo(weights[at..]);
        for (int at = blocks; at < scales.Length; at += blocks)
            scales[..blocks].CopyTo(scales[at..]);
    }
}
