using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text.Json;
using DualSparse.Kernels;

namespace DualSparse.Models.Safetensors;

/// <summary>
/// Writes one safetensors file as a stream: the header from the declared tensors, then their elements in the order declared, any number of
/// <c>Append</c> calls to a tensor. The bytes go to a temporary file beside the target, which <see cref="Commit"/> renames: the target
/// is either the old file or the whole new one. Without a commit, <see cref="Dispose"/> leaves nothing behind.
/// </summary>
internal sealed class SafetensorsWriter : IDisposable
{
    private const int ChunkElements = 1 << 16;

    private readonly string path;
    private readonly string temporary;
    private readonly IReadOnlyList<TensorDeclaration> tensors;
    private FileStream? stream;
    private byte[]? chunk;
    private int current;
    private long written; // bytes of the current tensor
    private bool committed;

    /// <summary>Starts a file: reserves its space and writes the header.</summary>
    /// <param name="path">The file to come.</param>
    /// <param name="tensors">Its tensors, in the order in which they will be appended.</param>
    /// <param name="metadata">What goes under <c>__metadata__</c>; by default <c>format: pt</c>, which other libraries ask for.</param>
    /// <exception cref="ArgumentException">A name stands there twice.</exception>
    /// <exception cref="IOException">The file can't be made, or the disk has no room for it.</exception>
    public SafetensorsWriter(string path, IReadOnlyList<TensorDeclaration> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        (this.path, this.tensors) = (path, tensors);
        byte[] header = Header(tensors, metadata ?? new Dictionary<string, string> { ["format"] = "pt" });
        long length = 8 + header.Length + tensors.Sum(tensor => tensor.ByteLength);
        temporary = $"{path}.{Environment.ProcessId}.tmp";
        Guard(() =>
        {
            stream = new FileStream(temporary, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                PreallocationSize = length, // a full disk shows now, not hours later
                BufferSize = 1 << 20,
            });
            Span<byte> size = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(size, header.Length);
            stream.Write(size);
            stream.Write(header);
        });
        SkipEmpty();
    }

    /// <summary>Appends elements to a tensor (none are a no-op), rounded to its type (F32, BF16 or F16; to nearest, ties to even).</summary>
    /// <exception cref="InvalidOperationException">Another tensor's turn it is, or the tensor's type is another, or there would be too many elements.</exception>
    /// <exception cref="IOException">Writing failed, say because the disk is full; the temporary file is gone.</exception>
    public void Append(string name, ReadOnlySpan<float> values)
    {
        if (values.IsEmpty)
            return;
        var type = RequireNext(name).Type;
        if (type == TensorType.F32)
        {
            AppendBytes(name, MemoryMarshal.AsBytes(values));
            return;
        }

        if (!type.IsWeight())
            throw new InvalidOperationException($"tensor '{name}' is of type {type.HeaderName()}, which floats can't be written as");
        chunk ??= new byte[ChunkElements * sizeof(ushort)];
        while (!values.IsEmpty)
        {
            var part = values[..Math.Min(values.Length, ChunkElements)];
            var bytes = chunk.AsSpan(0, part.Length * sizeof(ushort));
            if (type == TensorType.BF16)
                Bf16.FromSingle(part, MemoryMarshal.Cast<byte, ushort>(bytes));
            else
                TensorPrimitives.ConvertToHalf(part, MemoryMarshal.Cast<byte, Half>(bytes));
            AppendBytes(name, bytes);
            values = values[part.Length..];
        }
    }

    /// <summary>Appends a tensor's bytes as they are (none are a no-op).</summary>
    /// <exception cref="InvalidOperationException">Another tensor's turn it is, or there would be too many bytes.</exception>
    /// <exception cref="IOException">Writing failed, say because the disk is full; the temporary file is gone.</exception>
    public void AppendBytes(string name, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return;
        var tensor = RequireNext(name);
        if (bytes.Length > tensor.ByteLength - written)
            throw new InvalidOperationException($"tensor '{name}' has {tensor.ByteLength} bytes, and {written + bytes.Length} were appended");
        try
        {
            stream!.Write(bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(e);
        }

        written += bytes.Length;
        SkipEmpty();
    }

    /// <summary>Flushes everything to the disk and gives the file its name.</summary>
    /// <exception cref="InvalidOperationException">A tensor is not complete.</exception>
    /// <exception cref="IOException">Writing failed; the temporary file is gone.</exception>
    public void Commit()
    {
        Finish();
        Guard(() => File.Move(temporary, path, overwrite: true));
        committed = true;
    }

    /// <summary>Closes the file, and removes it unless it was committed.</summary>
    public void Dispose()
    {
        if (!committed)
            Discard();
    }

    /// <summary>Flushes everything to the disk and closes the temporary file.</summary>
    internal void Finish()
    {
        if (current < tensors.Count)
            throw new InvalidOperationException($"tensor '{tensors[current].Name}' is not complete: {written} of {tensors[current].ByteLength} bytes");
        Guard(() =>
        {
            stream?.Flush(flushToDisk: true);
            stream?.Dispose();
            stream = null;
        });
    }

    private static byte[] Header(IReadOnlyList<TensorDeclaration> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach (var (key, value) in metadata)
                json.WriteString(key, value);
            json.WriteEndObject();
            long begin = 0;
            var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
            foreach (var tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                    throw new ArgumentException($"tensor '{tensor.Name}' is declared twice", nameof(tensors));
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.HeaderName());
                json.WriteStartArray("shape");
                foreach (long size in tensor.Shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(begin);
                json.WriteNumberValue(begin = checked(begin + tensor.ByteLength));
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        // Spaces, so that the data start at a multiple of 8.
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    private TensorDeclaration RequireNext(string name)
    {
        ObjectDisposedException.ThrowIf(stream is null, this);
        if (current == tensors.Count)
            throw new InvalidOperationException($"tensor '{name}' was appended to, but all tensors are complete");
        return tensors[current].Name == name
            ? tensors[current]
            : throw new InvalidOperationException($"tensor '{name}' was appended to, but it is the turn of '{tensors[current].Name}'");
    }

    private void SkipEmpty()
    {
        while (current < tensors.Count && written == tensors[current].ByteLength)
            (current, written) = (current + 1, 0);
    }

    private void Guard(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(e);
        }
    }

    private IOException Failed(Exception cause)
    {
        Discard();
        return new IOException($"{path}: it could not be written ({cause.Message})", cause);
    }

    private void Discard()
    {
        try
        {
            stream?.Dispose();
        }
        catch (IOException)
        {
            // The last buffered bytes found no room either; the file goes anyway.
        }

        stream = null;
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder is gone or read-only: then there is no file to leave behind.
        }
    }
}
