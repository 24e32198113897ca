using System.Text;
using CsCheck;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Safetensors;

public class HeaderTests
{
    private const string Sound = """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}""";

    [Fact]
    public void A_sound_header_is_read()
    {
        var header = SafetensorsHeader.Parse(Encoding.UTF8.GetBytes(Sound + "    "), 32, "f");
        Assert.Equal("pt", header.Metadata["format"]);
        Assert.Equal(["a", "b"], header.Tensors.Keys.Order());
        Assert.Equal(new[] { 2L, 3 }, header.Tensors["a"].Shape);
        Assert.Equal((TensorType.BF16, 24L, 32L), (header.Tensors["b"].Type, header.Tensors["b"].Begin, header.Tensors["b"].End));
    }

    [Theory]
    [InlineData("[0,24]", "[0,20]", "tensor 'a': shape [2, 3] of F32 needs 24 bytes, data_offsets hold 20")]
    [InlineData("[24,32]", "[20,28]", "tensor 'b': its data start at byte 20 and overlap 'a', which ends at 24")]
    [InlineData("[24,32]", "[25,33]", "tensor 'b': its data end at byte 33, but the file has only 32 bytes of data")]
    [InlineData("[4],\"data_offsets\":[24,32]", "[3],\"data_offsets\":[26,32]", "tensor 'b': its data start at byte 26, leaving a hole after 'a'")]
    [InlineData("[4],\"data_offsets\":[24,32]", "[3],\"data_offsets\":[24,30]", "2 bytes follow the last tensor")]
    [InlineData("[24,32]", "[32,24]", "data_offsets end at 24, before their start at 32")]
    [InlineData("[24,32]", "[24]", "data_offsets holds 1 numbers, expected 2")]
    [InlineData("[24,32]", "[-8,0]", "'data_offsets' holds -8, expected whole numbers")]
    [InlineData("[2,3]", "[2,-3]", "'shape' holds -3, expected whole numbers")]
    [InlineData("[2,3]", "[2,3.0]", "'shape' holds 3.0, expected whole numbers")]
    [InlineData("[2,3]", "[4294967296,4294967296]", "its shape [4294967296, 4294967296] is larger than any file")]
    [InlineData("[2,3]", "[0,9223372036854775807,9223372036854775807]", "is larger than any file")]
    [InlineData("[2,3]", "[1125899906842624]", "needs 4503599627370496 bytes")]
    [InlineData("\"F32\"", "\"F33\"", "tensor 'a': dtype 'F33' is unknown")]
    [InlineData("\"F32\"", "32", "tensor 'a': dtype '32' is unknown")]
    [InlineData("[4],\"data_offsets\":[24,32]", "[4],\"shape\":[4],\"data_offsets\":[24,32]", "tensor 'b': 'shape' stands there twice")]
    [InlineData("\"shape\":[4],", "", "tensor 'b': 'shape' is missing")]
    [InlineData("\"shape\":[4],", "\"stride\":[4],", "tensor 'b': field 'stride' is unknown")]
    [InlineData("\"b\":{", "\"a\":{", "tensor 'a' is described twice")]
    [InlineData("{\"format\":\"pt\"}", "{\"format\":1}", "__metadata__ 'format' is not a string")]
    [InlineData("\"b\":{", "\"b\":[{", "tensor 'b': its description is not an object")]
    [InlineData("}}", "}", "the header is not valid JSON")]
    [InlineData("\"b\"", "\"\\ud800\"", "a string that is no valid text")]
    [InlineData("{\"__meta", " {\"__meta", "the header does not begin with '{'")]
    public void Damage_is_named(string part, string by, string expected)
    {
        string json = Sound.Replace(part, by);
        Assert.NotEqual(Sound, json);
        var error = Assert.Throws<ModelFormatException>(() => SafetensorsHeader.Parse(Encoding.UTF8.GetBytes(json), 32, "some.safetensors"));
        Assert.StartsWith("some.safetensors: ", error.Message);
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void Invalid_UTF8_is_refused()
    {
        byte[] json = Encoding.UTF8.GetBytes(Sound);
        json[Sound.IndexOf("\"b\"", StringComparison.Ordinal) + 1] = 0xFF;
        Assert.Contains("not valid UTF-8", Assert.Throws<ModelFormatException>(() => SafetensorsHeader.Parse(json, 32, "f")).Message);
    }

    [Fact]
    public void Every_type_of_the_format_is_known_with_its_size()
    {
        foreach (var type in Enum.GetValues<TensorType>())
        {
            Assert.True(TensorTypes.TryParse(type.HeaderName(), out var parsed));
            Assert.Equal(type, parsed);
            string json = $$$"""{"t":{"dtype":"{{{type.HeaderName()}}}","shape":[8],"data_offsets":[0,{{{type.Bits()}}}]}}""";
            Assert.Equal(type, SafetensorsHeader.Parse(Encoding.UTF8.GetBytes(json), type.Bits(), "f").Tensors["t"].Type);
        }
    }

    [Fact]
    public void Elements_of_less_than_a_byte_must_fill_whole_bytes() =>
        Assert.Contains("does not fill whole bytes", Assert.Throws<ModelFormatException>(
            () => SafetensorsHeader.Parse("""{"t":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"""u8, 2, "f")).Message);

    [Theory]
    [InlineData(ulong.MaxValue, "at most 100000000")]
    [InlineData(100_000_001UL, "at most 100000000")]
    [InlineData(93UL, "only 92 follow its length")]
    public void A_header_length_beyond_the_file_or_the_format_is_refused(ulong length, string expected) =>
        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => SafetensorsHeader.CheckLength(length, 100, "f")).Message);

    [Fact]
    public void Whatever_byte_changes_the_header_is_read_or_refused()
    {
        byte[] sound = Encoding.UTF8.GetBytes(Sound);
        Gen.Select(Gen.Int[0, sound.Length - 1], Gen.Byte, Gen.Int[0, 12]).Array[1, 4].Sample(edits =>
        {
            byte[] json = [.. sound];
            foreach (var (at, value, cut) in edits)
            {
                int place = Math.Min(at, json.Length);
                json = [.. json.AsSpan(0, place), value, .. json.AsSpan(Math.Min(place + cut, json.Length))];
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                SafetensorsHeader.Parse(json, 32, "f");
            }
            catch (ModelFormatException)
            {
                // Refused, as it should be.
            }

            return GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20;
        }, iter: 20_000);
    }
}
