using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>Rotary position embedding of the heads of tokens.</summary>
internal static unsafe class RopeOp
{
    // Tokens that one thread does at a time: tens of microseconds.
    private const int TokensPerItem = 64;

    /// <summary>Rotates every head in place, to the bits of the engine's <see cref="Rope"/>.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="rope">Angles and layout.</param>
    /// <param name="x">[tokens, heads, head size], changed.</param>
    /// <param name="places">[tokens] where each is.</param>
    /// <param name="heads">Heads that are rotated.</param>
    /// <param name="headSize">Values of a head, at least <see cref="Rope.Size"/>.</param>
    public static void Forward(ThreadTeam team, Rope rope, HeadRows x, GridPlace[] places, int heads, int headSize) => Rotate(team, rope, x, places, heads, headSize, back: false);

    /// <summary>From the gradient of what came out to that of what went in, in place: the rotation's transpose.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="rope">Angles and layout.</param>
    /// <param name="dx">[tokens, heads, head size], changed.</param>
    /// <param name="places">[tokens].</param>
    /// <param name="heads">Heads that were rotated.</param>
    /// <param name="headSize">Values of a head.</param>
    public static void Backward(ThreadTeam team, Rope rope, HeadRows dx, GridPlace[] places, int heads, int headSize) => Rotate(team, rope, dx, places, heads, headSize, back: true);

    private static void Rotate(ThreadTeam team, Rope rope, HeadRows x, GridPlace[] places, int heads, int headSize, bool back)
    {
        rope.Prepare(places.Length == 0 ? 0 : 1 + places.Max(place => Math.Max(place.Time, Math.Max(place.Row, place.Column))));
        team.For((places.Length + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            Span<float> room = stackalloc float[rope.TurnRoom];
            for (int t = item * TokensPerItem; t < Math.Min(places.Length, (item + 1) * TokensPerItem); t++)
            {
                var turn = rope.Turn(places[t], room);
                for (int h = 0; h < heads; h++)
                {
                    var head = new Span<float>(x.At(t, h), headSize);
                    if (back)
                        rope.RotateBack(head, turn);
                    else
                        rope.Rotate(head, turn);
                }
            }
        });
    }
}
