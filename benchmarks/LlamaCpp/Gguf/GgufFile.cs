using System.Text;
using DualSparse.Models.Safetensors;

namespace DualSparse.LlamaCpp.Gguf;

/// <summary>Writes GGUF, version 3: header, metadata, the list of tensors, and their elements at multiples of 32 bytes.</summary>
internal static class GgufFile
{
    private const uint Version = 3, UInt32 = 4, Float32 = 6, Text = 8;
    private const int Alignment = 32;

    // Rows that are converted at a time, by several threads.
    private const int RowsAtOnce = 1024;

    /// <summary>Writes a file.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="metadata">Keys, with values of type uint, float or string.</param>
    /// <param name="tensors">The tensors.</param>
    /// <param name="checkpoint">Where their elements come from.</param>
    /// <param name="cancel">Cancels between some rows and the next.</param>
    /// <exception cref="IOException">It can't be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; the file isn't whole.</exception>
    public static void Write(
        string path, IReadOnlyList<(string Key, object Value)> metadata, IReadOnlyList<GgufTensor> tensors, Checkpoint checkpoint, CancellationToken cancel)
    {
        using var output = new BinaryWriter(File.Create(path));
        output.Write("GGUF"u8);
        output.Write(Version);
        output.Write((long)tensors.Count);
        output.Write((long)metadata.Count);
        foreach (var (key, value) in metadata)
            WriteValue(output, key, value);
        long offset = 0;
        foreach (var tensor in tensors)
        {
            WriteText(output, tensor.Name);
            output.Write(tensor.Shape.Length);
            // Sizes stand innermost first.
            foreach (long size in tensor.Shape.Reverse())
                output.Write(size);
            output.Write((int)tensor.Type);
            output.Write(offset);
            offset += (tensor.ByteLength + Alignment - 1) / Alignment * Alignment;
        }

        foreach (var tensor in tensors)
        {
            Align(output);
            foreach (var source in tensor.Sources)
                WriteElements(output, tensor.Type, checkpoint.Get(source), cancel);
        }

        Align(output);
    }

    private static void WriteElements(BinaryWriter output, GgufType type, TensorView view, CancellationToken cancel)
    {
        int row = checked((int)view.RowLength), rowBytes = (int)Elements.Bytes(type, row);
        long all = view.Rows;
        byte[] bytes = new byte[Math.Min(all, RowsAtOnce) * rowBytes];
        for (long first = 0; first < all; first += RowsAtOnce)
        {
            cancel.ThrowIfCancellationRequested();
            int count = (int)Math.Min(RowsAtOnce, all - first);
            Parallel.For(0, count, () => new float[row], (r, _, values) =>
            {
                view.ReadRow(first + r, values);
                Elements.Write(type, values, bytes.AsSpan(r * rowBytes, rowBytes));
                return values;
            }, _ => { });
            output.Write(bytes, 0, count * rowBytes);
        }

        view.Release();
    }

    private static void WriteValue(BinaryWriter output, string key, object value)
    {
        WriteText(output, key);
        switch (value)
        {
            case uint number:
                output.Write(UInt32);
                output.Write(number);
                break;
            case float number:
                output.Write(Float32);
                output.Write(number);
                break;
            default:
                output.Write(Text);
                WriteText(output, (string)value);
                break;
        }
    }

    private static void WriteText(BinaryWriter output, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        output.Write((long)bytes.Length);
        output.Write(bytes);
    }

    private static void Align(BinaryWriter output)
    {
        output.Flush();
        while (output.BaseStream.Position % Alignment != 0)
            output.BaseStream.WriteByte(0);
    }
}
