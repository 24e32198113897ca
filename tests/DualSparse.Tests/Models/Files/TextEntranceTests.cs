using System.Text;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Evaluation;
using DualSparse.Evaluation.Tasks;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Models.Files;

/// <summary>What one reader of a text file takes or refuses, all do, in the same words.</summary>
public class TextEntranceTests
{
    private const string Tokens = """{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}""";

    // Each reader of JSON, with a sound file for it.
    private static readonly (string Name, string Sound, Action<byte[], string> Read)[] s_json =
    [
        ("config.json", File.ReadAllText(TestPaths.Golden("olmoe", "config.json")), (bytes, file) => ModelConfig.Parse(bytes, file, null, "")),
        ("model.safetensors.index.json", """{"metadata":{"total_size":1},"weight_map":{"a":"b.safetensors"}}""", (bytes, file) => ShardIndex.Parse(bytes, file)),
        ("tokenizer.json", Tokens, (bytes, file) => Tokenizer.Parse(bytes, file)),
        ("dualsparse.json", """{"metric":4,"methods":null}""", (bytes, file) => DropProfile.Parse(bytes, file)),
        ("sciq.jsonl", """{"query":"Q","choices":["a","b"],"gold":0}""", (bytes, file) => Files(file, bytes, folder => TaskFile.Read(folder, "sciq"))),
        ("cases.jsonl", """{"text":"a","ids":[0]}""", (bytes, file) => Files(file, bytes, folder => TokenizerVerification.Compare(Tokenizer.Parse("""{"model":{"vocab":{"a":0},"merges":[]}}"""u8), Path.Combine(folder, file)))),
    ];

    public static TheoryData<string> Json => [.. s_json.Select(reader => reader.Name)];

    [Theory]
    [MemberData(nameof(Json))]
    public void A_mark_of_UTF8_is_passed_over_and_others_are_named(string name)
    {
        var (sound, read) = Reader(name);
        read(Encoding.UTF8.GetBytes(sound), name);
        read([.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(sound)], name);
        foreach (var (encoding, called) in new (Encoding, string)[] { (Encoding.Unicode, "UTF-16"), (Encoding.BigEndianUnicode, "UTF-16"), (Encoding.UTF32, "UTF-32"), (new UTF32Encoding(true, true), "UTF-32") })
            Refused(name, [.. encoding.Preamble, .. encoding.GetBytes(sound)], $"it is {called}; save it as UTF-8");
        Refused(name, Encoding.Unicode.GetBytes(sound), "it is UTF-16; save it as UTF-8");
        Refused(name, Encoding.BigEndianUnicode.GetBytes(sound), "it is UTF-16; save it as UTF-8");
    }

    [Theory]
    [MemberData(nameof(Json))]
    public void What_is_no_UTF8_is_named_with_its_place(string name)
    {
        var (sound, _) = Reader(name);
        byte[] bytes = Encoding.UTF8.GetBytes(sound.Insert(3, "Ω"));
        bytes[4] = 0xC3;
        Refused(name, bytes, "begins no character, so it is not valid UTF-8; save it as UTF-8");
        Refused(name, [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes("{\""), 0xFF], "the byte 0xff at offset 5 begins no character");
    }

    [Theory]
    [MemberData(nameof(Json))]
    public void What_stands_in_the_files_place_is_named(string name)
    {
        Refused(name, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"u8, "it is a Git LFS pointer, not the file itself: fetch it with 'git lfs pull'");
        Refused(name, "<!DOCTYPE html>\n<html>"u8, "it is a page or an error message (it begins with '<!DOCTYPE html>')");
        Refused(name, "\n <HTML><body>"u8, "it is a page or an error message (it begins with '<HTML><body>')");
        Refused(name, "PK\u0003\u0004abc"u8, "it is a zip archive");
        Refused(name, "GGUFabc"u8, "it is a GGUF file");
        Refused(name, [0x1F, 0x8B, 8, 0], "gzip");
        Refused(name, "BZh91AY"u8, "bzip2");
        Refused(name, "# xet version 0\nfilesize = 5\n"u8, "it is a Xet pointer, not the file itself");
        Refused(name, new byte[64], "it begins with zero bytes, as a download that stopped leaves them: fetch it again");
        Refused(name, "\u0001\u0007"u8, "there is '\\u0001\\u0007'; if it isn't the file that it should be, fetch it again");
    }

    [Theory]
    [MemberData(nameof(Json))]
    public void A_text_that_is_no_JSON_is_refused_with_the_reason(string name)
    {
        var (sound, _) = Reader(name);
        sound = sound.Replace("\n", "", StringComparison.Ordinal).Trim();
        Refused(name, Encoding.UTF8.GetBytes(sound[..^1]), "it ends before its JSON does; is it cut off?");
        Refused(name, Encoding.UTF8.GetBytes(sound[..^1] + ",}"), "there is a comma before the closing bracket");
        Refused(name, Encoding.UTF8.GetBytes("{/* why */" + sound[1..]), "there is a comment");
        Refused(name, Encoding.UTF8.GetBytes("{'a':1," + sound[1..]), "there is a single quote");
        Refused(name, "Entry not found"u8, "it is not valid JSON (line 1, byte 0): there is 'Entry not found'");
        Refused(name, Encoding.UTF8.GetBytes($"{{\"a\":{new string('[', 80)}{new string(']', 80)},{sound[1..]}"), "it is nested deeper than 64 levels");
    }

    // Pythons json writes them, and reads them again.
    [Theory]
    [InlineData("config.json", "\"hidden_size\": 64", "'hidden_size' is {0}, expected a whole number")]
    [InlineData("config.json", "\"rms_norm_eps\": 1e-05", "'rms_norm_eps' is {0}, expected a number above 0")]
    [InlineData("config.json", "\"model_type\": \"olmoe\"", "'model_type' is {0}, expected a string")]
    [InlineData("model.safetensors.index.json", "\"a\":\"b.safetensors\"", "'weight_map.a' is {0}, expected a string")]
    [InlineData("tokenizer.json", "\"a\":0", "'a' has {0}, expected an id")]
    [InlineData("dualsparse.json", "\"methods\":null", "'methods' is not as 'dualsparse sparsify' writes it")]
    [InlineData("sciq.jsonl", "\"gold\":0", "'gold' is {0}, expected a whole number from 0 to 1")]
    [InlineData("cases.jsonl", "\"ids\":[0]", "'ids' is {0}, expected an array")]
    public void No_numbers_stand_where_nobody_reads_them_and_are_named_where_somebody_does(string name, string field, string expected)
    {
        var (sound, read) = Reader(name);
        Assert.Contains(field, sound);
        foreach (string word in new[] { "NaN", "Infinity", "-Infinity" })
        {
            if (name is not "model.safetensors.index.json")
            {
                // A name that config.json may have whatever it holds; a text that looks like one stays a text.
                read(Encoding.UTF8.GetBytes($"{{\"task_specific_params\": [{word}, \"a \\\" {word}\"], {sound[(sound.IndexOf('{') + 1)..]}"), name);
            }

            string damaged = sound.Replace(field, field[..(field.IndexOf(':') + 1)] + word, StringComparison.Ordinal);
            Refused(name, Encoding.UTF8.GetBytes(damaged), string.Format(expected, word));
        }
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("dualsparse.json")]
    [InlineData("sciq.jsonl")]
    [InlineData("cases.jsonl")]
    public void A_field_twice_is_refused_at_any_depth(string name)
    {
        var (sound, _) = Reader(name);
        Refused(name, Encoding.UTF8.GetBytes($"{{\"x\":1,\"x\":2,{sound[(sound.IndexOf('{') + 1)..]}"), "'x' stands there twice");
        Refused(name, Encoding.UTF8.GetBytes($"{{\"y\":[{{\"x\":1,\"x\":2}}],{sound[(sound.IndexOf('{') + 1)..]}"), "'y[0]': 'x' stands there twice");
    }

    [Fact]
    public void A_field_twice_in_a_tokenizer_is_refused_where_it_counts()
    {
        Refused("tokenizer.json", Encoding.UTF8.GetBytes("{\"decoder\":null,\"decoder\":null," + Tokens[1..]), "'decoder' stands there twice");
        Refused("tokenizer.json", Encoding.UTF8.GetBytes("{\"decoder\":{\"type\":\"ByteLevel\",\"type\":\"Fuse\"}," + Tokens[1..]), "'decoder': 'type' stands there twice");
        Refused("tokenizer.json", Encoding.UTF8.GetBytes(Tokens.Replace("\"merges\"", "\"byte_fallback\":true,\"byte_fallback\":false,\"merges\"", StringComparison.Ordinal)), "'model.byte_fallback' stands there twice");
    }

    [Fact]
    public void Whole_numbers_may_be_written_with_a_point_and_huge_ones_are_named()
    {
        string config = File.ReadAllText(TestPaths.Golden("olmoe", "config.json"));
        Assert.Equal(64, Parse("64.0").HiddenSize);
        Assert.Equal(64, Parse("6.4e1").HiddenSize);
        foreach (string number in new[] { "64.5", "1e400", "-1e400", "123456789012345678901234567890" })
            Assert.Contains($"'hidden_size' is {number}, expected a whole number", Assert.Throws<ModelFormatException>(() => Parse(number)).Message);

        ModelConfig Parse(string number) => ModelConfig.Parse(
            Encoding.UTF8.GetBytes(config.Replace("\"hidden_size\": 64", $"\"hidden_size\": {number}", StringComparison.Ordinal)), "config.json", null, "");
    }

    [Fact]
    public void Texts_pass_through_the_same_entrance()
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("a.txt");
        File.WriteAllBytes(file, [.. Encoding.UTF8.Preamble, .. "<html> is a text"u8]);
        Assert.Equal("<html> is a text", TextFile.Read(file));
        File.WriteAllBytes(file, [.. "ab"u8, 0xE2, 0x82]);
        Assert.Equal($"{file}: the byte 0xe2 at offset 2 begins no character, so it is not valid UTF-8; save it as UTF-8", Assert.Throws<ModelFormatException>(() => TextFile.Read(file)).Message);
        File.WriteAllText(file, "text", Encoding.Unicode);
        Assert.Equal($"{file}: it is UTF-16; save it as UTF-8", Assert.Throws<ModelFormatException>(() => TextFile.Read(file)).Message);
        File.WriteAllText(file, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
        Assert.Contains("git lfs pull", Assert.Throws<ModelFormatException>(() => TextFile.Read(file)).Message);
        // A text about pointers is one.
        File.WriteAllText(file, "version https://git-lfs.github.com/spec/v1\n" + new string('x', 2000));
        Assert.StartsWith("version", TextFile.Read(file));
    }

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git lfs pull")]
    [InlineData("<!DOCTYPE html><html><head><title>404</title></head></html>", "it is a page or an error message (it begins with '<!DOCTYPE html><html><he')")]
    [InlineData("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "it is a page or an error message")]
    [InlineData("PK\u0003\u0004archive", "it is a zip archive, such as PyTorch writes")]
    [InlineData("GGUF\u0003\0\0\0", "it is a GGUF file")]
    [InlineData("Repository not found", "expected at most 100000000: it is no safetensors file, or a damaged one; fetch it again")]
    [InlineData("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "the header does not begin with '{': it is no safetensors file")]
    [InlineData("", "0 bytes are too few for a safetensors file; fetch it again")]
    public void A_shard_of_another_kind_among_good_ones_is_named(string content, string expected)
    {
        using var folder = TemporaryFolder.CopyOf("mixtral");
        string shard = folder.File("model-00003-of-00004.safetensors");
        File.WriteAllText(shard, content);
        string message = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(folder.Path)).Message;
        Assert.StartsWith($"{shard}: ", message);
        Assert.Contains(expected, message);
    }

    private static (string Sound, Action<byte[], string> Read) Reader(string name) => s_json.Where(reader => reader.Name == name).Select(reader => (reader.Sound, reader.Read)).Single();

    private static void Refused(string name, ReadOnlySpan<byte> bytes, string expected)
    {
        byte[] copy = bytes.ToArray();
        string message = Assert.Throws<ModelFormatException>(() => Reader(name).Read(copy, name)).Message;
        Assert.Contains(name, message);
        Assert.Contains(expected, message);
    }

    private static void Files(string name, byte[] bytes, Action<string> read)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File(name), bytes);
        read(folder.Path);
    }
}
