using Google.Protobuf;

namespace DualSparse.Benchmarks.Ort;

/// <summary>A protobuf message by field numbers, without generated classes: enough to write an ONNX model.</summary>
internal sealed class ProtoMessage
{
    private readonly List<(int Size, Action<CodedOutputStream> Write)> fields = [];

    /// <summary>Bytes of the message; lengths precede contents, so they are computed before anything is written.</summary>
    public int Size => fields.Sum(f => f.Size);

    public ProtoMessage Add(int field, long value) => Add(
        field, WireFormat.WireType.Varint, CodedOutputStream.ComputeInt64Size(value), o => o.WriteInt64(value));

    public ProtoMessage Add(int field, float value) => Add(
        field, WireFormat.WireType.Fixed32, CodedOutputStream.ComputeFloatSize(value), o => o.WriteFloat(value));

    public ProtoMessage Add(int field, string value) => Add(
        field, WireFormat.WireType.LengthDelimited, CodedOutputStream.ComputeStringSize(value), o => o.WriteString(value));

    /// <summary>Bytes, which are not copied before they are written.</summary>
    public ProtoMessage Add(int field, ReadOnlyMemory<byte> value)
    {
        var bytes = UnsafeByteOperations.UnsafeWrap(value);
        return Add(field, WireFormat.WireType.LengthDelimited, CodedOutputStream.ComputeBytesSize(bytes), o => o.WriteBytes(bytes));
    }

    public ProtoMessage Add(int field, ProtoMessage value)
    {
        int size = value.Size;
        return Add(field, WireFormat.WireType.LengthDelimited, CodedOutputStream.ComputeLengthSize(size) + size, o =>
        {
            o.WriteLength(size);
            value.WriteTo(o);
        });
    }

    public byte[] ToBytes()
    {
        byte[] bytes = new byte[Size];
        using var output = new CodedOutputStream(new MemoryStream(bytes));
        WriteTo(output);
        return bytes;
    }

    private void WriteTo(CodedOutputStream output) => fields.ForEach(f => f.Write(output));

    private ProtoMessage Add(int field, WireFormat.WireType type, int size, Action<CodedOutputStream> write)
    {
        uint tag = WireFormat.MakeTag(field, type);
        fields.Add((CodedOutputStream.ComputeTagSize(field) + size, WriteField));
        return this;

        void WriteField(CodedOutputStream output)
        {
            output.WriteTag(tag);
            write(output);
        }
    }
}
