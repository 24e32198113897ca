using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace DualSparse.Kernels.Ops;

/// <summary>The few operations that loops over f32 vectors are written in, once for every width.</summary>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface ISimd<TVector>
    where TVector : struct
{
    static abstract int Width { get; }

    static abstract TVector Zero { get; }

    static abstract TVector Create(float value);

    static abstract TVector Load(float* source);

    static abstract void Store(TVector value, float* target);

    /// <summary>Stores rounded to bf16, as <see cref="Bf16.FromSingle(float)"/>.</summary>
    static abstract void StoreBf16(TVector value, ushort* target);

    static abstract TVector Add(TVector a, TVector b);

    static abstract TVector Subtract(TVector a, TVector b);

    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a·b + c, fused where the machine can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>The larger; b where either is NaN, or NaN.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>The smaller; b where either is NaN, or NaN.</summary>
    static abstract TVector Min(TVector a, TVector b);

    /// <summary>The largest lane; any number where one is NaN.</summary>
    static abstract float Largest(TVector a);

    /// <summary>The sum of the lanes.</summary>
    static abstract float Sum(TVector a);

    /// <summary>The float whose exponent field is the low nine bits of (bits of a) + <paramref name="bias"/>, the top one as its sign.</summary>
    static abstract TVector ExponentFromLowBits(TVector a, int bias);
}

/// <summary>As wide as <see cref="Vector{T}"/>: 256 bits on x86 with AVX2, 128 elsewhere.</summary>
internal readonly unsafe struct PortableSimd : ISimd<Vector<float>>
{
    public static int Width => Vector<float>.Count;

    public static Vector<float> Zero => Vector<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Create(float value) => Vector.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Load(float* source) => Vector.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector<float> value, float* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBf16(Vector<float> value, ushort* target)
    {
        if (Vector<float>.Count == 8)
        {
            var rounded = Bf16.Round(value).AsVector256();
            Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
            return;
        }

        for (int i = 0; i < Vector<float>.Count; i++)
            target[i] = Bf16.FromSingle(value[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Add(Vector<float> a, Vector<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Subtract(Vector<float> a, Vector<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Multiply(Vector<float> a, Vector<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> MultiplyAdd(Vector<float> a, Vector<float> b, Vector<float> c) => Vector.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Max(Vector<float> a, Vector<float> b) => Vector.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Min(Vector<float> a, Vector<float> b) => Vector.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector<float> a)
    {
        if (Vector<float>.Count == 8)
            return WideSimd.Largest(a.AsVector256());
        float largest = a[0];
        for (int i = 1; i < Vector<float>.Count; i++)
            largest = a[i] > largest ? a[i] : largest;
        return largest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector<float> a) => Vector.Sum(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ExponentFromLowBits(Vector<float> a, int bias) =>
        Vector.AsVectorSingle(Vector.ShiftLeft(Vector.AsVectorInt32(a) + Vector.Create(bias), 23));
}

/// <summary>512 bits: AVX-512; correct but slower than <see cref="PortableSimd"/> on other machines.</summary>
internal readonly unsafe struct WideSimd : ISimd<Vector512<float>>
{
    public static int Width => 16;

    public static Vector512<float> Zero => Vector512<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Create(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBf16(Vector512<float> value, ushort* target)
    {
        var rounded = Bf16.Round(value);
        if (Avx512F.IsSupported)
            Avx512F.ConvertToVector256UInt16(rounded).Store(target);
        else
            Vector256.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Min(Vector512<float> a, Vector512<float> b) => Vector512.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector512<float> a) => Largest(Vector256.MaxNative(a.GetLower(), a.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> a) => Vector512.Sum(a);

    /// <summary>The largest of eight lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Largest(Vector256<float> a)
    {
        var four = Vector128.MaxNative(a.GetLower(), a.GetUpper());
        var two = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(two, Vector128.Shuffle(two, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ExponentFromLowBits(Vector512<float> a, int bias) =>
        ((a.AsInt32() + Vector512.Create(bias)) << 23).AsSingle();
}
