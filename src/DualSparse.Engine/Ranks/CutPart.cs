namespace DualSparse.Engine.Ranks;

/// <summary>One of several parts of what is cut, such as a layer's heads.</summary>
/// <param name="Index">Which, from 0.</param>
/// <param name="Of">The number of parts; 1: nothing is cut.</param>
internal readonly record struct CutPart(int Index, int Of)
{
    /// <summary>All of it.</summary>
    public static CutPart Whole => new(0, 1);

    /// <summary>Whether there are other parts.</summary>
    public bool IsCut => Of > 1;

    /// <summary>The part of a number of things, as even as whole blocks allow.</summary>
    /// <param name="total">How many things there are.</param>
    /// <param name="block">Things that stay together.</param>
    public (int First, int Count) Range(int total, int block = 1)
    {
        long blocks = (total + block - 1) / block;
        int first = (int)(blocks * Index / Of) * block, end = Math.Min(total, (int)(blocks * (Index + 1) / Of) * block);
        return (first, end - first);
    }
}
