using System.Buffers.Binary;
using DualSparse.Kernels.Memory;

namespace DualSparse.Models.Safetensors;

/// <summary>
/// One safetensors file, mapped: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
/// Opening reads and checks the header; a tensor's bytes are read when asked for. Views are valid until <see cref="Dispose"/>.
/// </summary>
internal sealed class SafetensorsFile : IDisposable
{
    private readonly MappedFile map;
    private readonly SortedDictionary<string, TensorView> views = new(StringComparer.Ordinal);

    private SafetensorsFile(string path, MappedFile map)
    {
        Path = path;
        this.map = map;
        if (map.Length < 8)
            throw new ModelFormatException($"{path}: {map.Length} bytes are too few for a safetensors file; fetch it again");
        ulong claimed = BinaryPrimitives.ReadUInt64LittleEndian(map.Span(0, 8));
        // As a length, the first letters of anything else are far too much. A pointer or a page's first line is no longer than what is shown.
        if (claimed > SafetensorsHeader.MaxBytes && ForeignFile.Find(map.Span(0, (int)Math.Min(map.Length, 4096))) is { } foreign)
            throw new ModelFormatException($"{path}: {foreign}");
        int headerLength = SafetensorsHeader.CheckLength(claimed, map.Length, path);
        long dataStart = 8L + headerLength;
        var header = SafetensorsHeader.Parse(map.Span(8, headerLength), map.Length - dataStart, path);
        Metadata = header.Metadata;
        foreach (var entry in header.Tensors.Values)
            views.Add(entry.Name, new TensorView(path, map, entry, dataStart));
    }

    /// <summary>The file's path.</summary>
    public string Path { get; }

    /// <summary>The tensors by name, in ordinal order.</summary>
    public IReadOnlyDictionary<string, TensorView> Tensors => views;

    /// <summary>What the header holds under <c>__metadata__</c>; empty where there is nothing.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps a file and checks its header.</summary>
    /// <exception cref="ModelFormatException">The file is missing, unreadable or damaged.</exception>
    public static SafetensorsFile Open(string path)
    {
        MappedFile map;
        try
        {
            map = new MappedFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }

        try
        {
            return new SafetensorsFile(path, map);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    /// <summary>A tensor by name; where a shape is given, the tensor must have it.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor, or its shape is another.</exception>
    public TensorView Get(string name, params ReadOnlySpan<long> shape)
    {
        if (!views.TryGetValue(name, out var tensor))
            throw new ModelFormatException($"{Path}: tensor '{name}' is missing");
        if (!shape.IsEmpty)
            tensor.Expect(shape);
        return tensor;
    }

    /// <summary>Unmaps the file; its views must not be read any more.</summary>
    public void Dispose() => map.Dispose();
}
