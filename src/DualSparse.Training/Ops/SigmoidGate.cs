using System.Numerics;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>The gate of a shared expert (Qwen2-MoE): a row's output s is multiplied by σ of one number of that row.</summary>
internal static unsafe class SigmoidGate
{
    // Rows that one thread does at a time: microseconds.
    private const int RowsPerItem = 32;

    /// <summary>gates = σ(logits), y += gates · s, row by row.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="logits">[rows].</param>
    /// <param name="s">[rows, width], dense.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="gates">[rows] receives σ(logits); may be logits itself.</param>
    /// <param name="y">[rows, width], dense, added to.</param>
    public static void Forward(ThreadTeam team, float* logits, float* s, int rows, int width, float* gates, float* y) =>
        team.For((rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(rows, (item + 1) * RowsPerItem); r++)
            {
                // As the engine computes it.
                float gate = gates[r] = 1 / (1 + MathF.Exp(-logits[r]));
                float* from = s + (nint)r * width, to = y + (nint)r * width;
                int i = 0;
                for (; i + Vector<float>.Count <= width; i += Vector<float>.Count)
                    (Vector.Load(to + i) + gate * Vector.Load(from + i)).Store(to + i);
                for (; i < width; i++)
                    to[i] += gate * from[i];
            }
        });

    /// <summary>ds = gates · dy, dlogits = gates · (1 − gates) · Σ dy ⊙ s, row by row.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="dy">[rows, width], dense.</param>
    /// <param name="s">[rows, width], dense, as it went in.</param>
    /// <param name="gates">[rows] as the forward pass left them.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="ds">[rows, width], dense, overwritten; may be s itself.</param>
    /// <param name="dLogits">[rows], overwritten; may be gates itself.</param>
    public static void Backward(ThreadTeam team, float* dy, float* s, float* gates, int rows, int width, float* ds, float* dLogits) =>
        team.For((rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(rows, (item + 1) * RowsPerItem); r++)
            {
                float gate = gates[r];
                nint at = (nint)r * width;
                Vector<float> lanes = default;
                int i = 0;
                for (; i + Vector<float>.Count <= width; i += Vector<float>.Count)
                {
                    var d = Vector.Load(dy + at + i);
                    lanes += d * Vector.Load(s + at + i);
                    (gate * d).Store(ds + at + i);
                }

                float dot = Vector.Sum(lanes);
                for (; i < width; i++)
                {
                    dot += dy[at + i] * s[at + i];
                    ds[at + i] = gate * dy[at + i];
                }

                dLogits[r] = dot * gate * (1 - gate);
            }
        });
}
