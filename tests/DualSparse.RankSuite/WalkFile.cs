using System.Runtime.InteropServices;

namespace DualSparse.RankSuite;

/// <summary>Walks, to the bit, one after another.</summary>
internal sealed class WalkWriter(string path) : IDisposable
{
    private readonly BinaryWriter file = new(File.Create(path));

    /// <summary>Adds one.</summary>
    public void Write(Walk walk)
    {
        file.Write(walk.Logits.Length);
        file.Write(MemoryMarshal.AsBytes<float>(walk.Logits));
        file.Write(walk.Ids.Length);
        file.Write(MemoryMarshal.AsBytes<int>(walk.Ids));
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();
}

/// <summary>Reads what <see cref="WalkWriter"/> wrote.</summary>
internal sealed class WalkReader(string path) : IDisposable
{
    private readonly BinaryReader file = new(File.OpenRead(path));

    /// <summary>Whether all have been read.</summary>
    public bool AtEnd => file.BaseStream.Position == file.BaseStream.Length;

    /// <summary>The next one.</summary>
    public Walk Read() => new(Values<float>(), Values<int>());

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private T[] Values<T>()
        where T : unmanaged
    {
        var values = new T[file.ReadInt32()];
        file.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
