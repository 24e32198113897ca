using System.Numerics;
using System.Runtime.CompilerServices;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// e^x in f32, within 1 ulp (2 where the machine can't fuse multiply and add), the same in every lane and at every length.
/// Results under 2⁻¹²⁵·⁵ (x &lt; −86.99) are 0; overflow gives +∞; NaN gives NaN.
/// </summary>
internal static unsafe class Exp
{
    /// <summary>y = e^x, element by element.</summary>
    /// <param name="x">Any values.</param>
    /// <param name="y">As many, overwritten; may be <paramref name="x"/> itself.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Forward(ReadOnlySpan<float> x, Span<float> y)
    {
        if (x.Length != y.Length)
            throw new ArgumentException($"expected {x.Length} results, found room for {y.Length}");
        int width = Vector<float>.Count;
        int i = 0;
        fixed (float* source = x, target = y)
        {
            for (; i + width <= x.Length; i += width)
                Of<PortableSimd, Vector<float>>(Vector.Load(source + i)).Store(target + i);
        }

        if (i == x.Length)
            return;
        // The rest goes through a whole vector too: a scalar path would round differently.
        float* rest = stackalloc float[width];
        x[i..].CopyTo(new Span<float>(rest, width));
        Of<PortableSimd, Vector<float>>(Vector.Load(rest)).Store(rest);
        new ReadOnlySpan<float>(rest, x.Length - i).CopyTo(y[i..]);
    }

    /// <summary>e^x of each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Of<TSimd, TVector>(TVector x)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        // Adding 1.5·2²³ rounds to an integer n, which stays in the low bits: e^x = 2ⁿ·e^r with |r| ≤ ln 2 / 2.
        var magic = TSimd.Create(12582912f);
        x = TSimd.Max(TSimd.Create(-87.3f), TSimd.Min(TSimd.Create(89f), x));
        var shifted = TSimd.MultiplyAdd(x, TSimd.Create(1.44269504f), magic);
        var n = TSimd.Subtract(shifted, magic);
        // ln 2 in two parts; the first has so few bits that n times it is exact.
        var r = TSimd.MultiplyAdd(n, TSimd.Create(-0.693359375f), x);
        r = TSimd.MultiplyAdd(n, TSimd.Create(2.12194440e-4f), r);
        // (e^r − 1 − r) / r² by a minimax polynomial: relative error of e^r 3.1e-9.
        var q = TSimd.MultiplyAdd(r, TSimd.Create(0.00138145895f), TSimd.Create(0.00836873543f));
        q = TSimd.MultiplyAdd(r, q, TSimd.Create(0.0416683894f));
        q = TSimd.MultiplyAdd(r, q, TSimd.Create(0.166665205f));
        q = TSimd.MultiplyAdd(r, q, TSimd.Create(0.499999934f));
        var p = TSimd.Add(TSimd.MultiplyAdd(TSimd.Multiply(r, r), q, r), TSimd.Create(1f));
        // 2ⁿ as 2ⁿ⁻¹·2, so that n = 128 overflows only where e^x does; n = −126 has no normal half and gives 0.
        p = TSimd.Multiply(p, TSimd.ExponentFromLowBits(shifted, 126));
        return TSimd.Add(p, p);
    }
}
