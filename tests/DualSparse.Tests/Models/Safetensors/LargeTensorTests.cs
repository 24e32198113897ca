using System.Buffers.Binary;
using System.Text;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Safetensors;

public class LargeTensorTests
{
    [Fact]
    public void A_tensor_beyond_two_gigabytes_reads_by_rows()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("needs a file system on which unwritten bytes take no room");
        using var folder = new TemporaryFolder();
        string path = folder.File("large.safetensors");
        const long Rows = 70_001, Columns = 1 << 15;
        byte[] header = Encoding.UTF8.GetBytes($$$"""{"t":{"dtype":"BF16","shape":[{{{Rows}}},{{{Columns}}}],"data_offsets":[0,{{{Rows * Columns * 2}}}]}}""");
        using (var stream = File.Create(path))
        {
            var length = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            stream.Write(header);
            stream.SetLength(8 + header.Length + Rows * Columns * 2);
            stream.Position = stream.Length - 2;
            stream.Write([0x80, 0x3F]); // 1.0
        }

        using var file = SafetensorsFile.Open(path);
        var tensor = file.Get("t", Rows, Columns);
        Assert.Equal(Rows * Columns * 2, tensor.ByteLength);
        Assert.Throws<InvalidOperationException>(() => _ = tensor.Bytes.Length);
        var row = new float[Columns];
        tensor.ReadRow(Rows - 1, row);
        Assert.Equal((0f, 1f), (row[^2], row[^1]));
        Assert.Equal(1f, BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(tensor.RowBytes(Rows - 1)[^2..]) << 16));
        tensor.Release();
        tensor.ReadFloats(Rows * Columns - 1, row.AsSpan(0, 1));
        Assert.Equal(1f, row[0]);
    }
}
