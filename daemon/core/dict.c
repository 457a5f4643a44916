/* Preset dictionary 1: words of registers, names with their length before them, beginnings of small payloads; the
 * likeliest stand last, where a match is shortest.  schema/dict/terrace-1.txt holds the same bytes.  What the number
 * stands for never changes. */
#include "core/dict.h"

const char dict_terrace_1[] =
	"北京市天津市河北省山西省内蒙古自治区辽宁省吉林省黑龙江省"
	"上海市江苏省浙江省安徽省福建省江西省山东省河南省湖北省湖南省广东省"
	"广西壮族自治区海南省重庆市四川省贵州省云南省西藏自治区陕西省甘肃省青海省宁夏回族自治区新疆维吾尔自治区"
	"省市县区乡镇街道村委会社区居民委员会村民小组组号驻村工作队员村委会主任村会计乡镇包村干部"
	"一般户脱贫户监测户低保户特困户低收入户五保户户主配偶之子之女之父之母之孙子之孙女之儿媳"
	"男女汉族白族彝族回族苗族壮族藏族傈僳族纳西族未婚已婚丧偶离异"
	"文盲或半文盲小学初中高中中专大专本科学龄前儿童健康长期慢性病患有大病残疾肢体听力视力言语智力精神一级二级三级四级"
	"无劳动力丧失劳动力技能劳动力普通劳动力弱劳动力或半劳动力务农外出务工个体经营在校学生公益性岗位"
	"城乡居民基本医疗保险城镇职工基本医疗保险城乡居民基本养老保险城镇职工养老保险不符合参保条件未参保"
	"砖混土木砖木框架土坯自来水井水山泉水集中供水因病因残因学因灾缺劳力缺技术缺资金"
	"正常迁出死亡服刑申报初审审核公示已确认已审批退回同意不同意已发放停发待核实"
	"本村省内县外县内乡外外出务工联系电话已纳入监测每月走访已申报已入住补贴"
	"\002id\004code\004name\005title\004kind\004type\005state\006status\004date\004year\005month\003day\006amount\005total\005count\006number\004unit"
	"\005level\006parent\006remark\004note\006reason\006result\006source\006target\005owner\006person\011household\007village\004town\006county"
	"\007address\005phone\006mobile\005email\005birth\003sex\006gender\006nation\010relation\007marital\011education\006health\006labour"
	"\012occupation\011workplace\006income\011insurance\007pension\012disability\012population\010category\012house_type\012house_area"
	"\007land_mu\005water\015poverty_cause\006helper\011head_name\011id_number\014village_code\016household_code\011unit_code"
	"\010org_code\013region_code\011area_code\013card_number\014bank_account\012start_date\010end_date\012valid_from\010valid_to"
	"\012applied_at\013approved_at\013reviewed_at\014submitted_at\007opinion\006review\014check_result\012visit_date\007visitor"
	"\010decision\010approved\010rejected\005draft\007pending\006active\010inactive\011confirmed\006closed\005price\010quantity\005score"
	"\004rank\005grade\013amount_yuan\010standard\007subsidy\011allowance\006period\005batch\007project\010contract\004plot\004crop\004area"
	"\003row\004base\004main\004data\006detail\005basic\010identity\007contact\005money\012assessment\005visit\010approval\005audit\004edit"
	"\005local\012created_at\012created_by\012updated_by"
	"\012\022@"
	"\004\002\000\000\001\000\001@"
	"\012updated_at\001\000\001\002\004\001\000\011\001\000\001"
	"\012updated_at\001\000\001\001\004\002\000\000\001";

const size_t dict_terrace_1_size = sizeof dict_terrace_1 - 1;
